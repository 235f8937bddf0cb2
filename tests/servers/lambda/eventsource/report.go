package eventsource

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// succeeded returns the messages of a batch that an answer does not name as failed. An error is the failure of all.
func succeeded(batch []types.Message, answer []byte) ([]types.Message, error) {
	if len(bytes.TrimSpace(answer)) == 0 {
		return batch, nil
	}
	// Maps, because the names of fields are matched exactly, which encoding/json does not do with structs.
	var report map[string]json.RawMessage
	if err := json.Unmarshal(answer, &report); err != nil {
		return nil, fmt.Errorf("answer %.200q: %w", answer, err)
	}
	var failures []map[string]*string
	if list, ok := report["batchItemFailures"]; ok {
		if err := json.Unmarshal(list, &failures); err != nil {
			return nil, fmt.Errorf("answer %.200q: %w", answer, err)
		}
	}
	failed := map[string]bool{}
	for _, f := range failures {
		id := aws.ToString(f["itemIdentifier"])
		if id == "" {
			return nil, fmt.Errorf("answer %.200q: an itemIdentifier is missing, null or empty", answer)
		}
		failed[id] = true
	}
	var out []types.Message
	for _, m := range batch {
		if id := aws.ToString(m.MessageId); failed[id] {
			delete(failed, id)
		} else {
			out = append(out, m)
		}
	}
	for id := range failed {
		return nil, fmt.Errorf("answer %.200q: no message of the batch has the id %q", answer, id)
	}
	return out, nil
}
