package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/piecework/piecework/infra/drivers"
)

// advisedFactor and leastDeliveries are what Amazon advises for a queue that calls a function.
const (
	advisedFactor   = 6
	leastDeliveries = 5
	mostHidden      = 12 * time.Hour
)

// inspect reads a queue's visibility timeout and its dead-letter queue. It knows nothing of a topic
// whose URL names no queue that is subscribed to it.
func (r reception) inspect(client *sqs.Client) func(context.Context, string) (*drivers.QueueFacts, error) {
	return func(ctx context.Context, queue string) (*drivers.QueueFacts, error) {
		if r.queue == "" {
			return nil, nil
		}
		url := drivers.ForQueue(r.queue, queue)
		const visibility, redrive = sqstypes.QueueAttributeNameVisibilityTimeout, sqstypes.QueueAttributeNameRedrivePolicy
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{visibility, redrive},
		})
		if err != nil {
			return nil, fmt.Errorf("read attributes of queue %s: %w", url, err)
		}
		seconds, _ := strconv.Atoi(out.Attributes[string(visibility)]) // SQS writes numbers
		f := &drivers.QueueFacts{
			Hidden: time.Duration(seconds) * time.Second, HiddenName: "visibility timeout",
			HiddenRemedy: "set VisibilityTimeout of " + url, Factor: advisedFactor, Most: mostHidden,
			DeadRemedy:      "make a queue and name it in the RedrivePolicy of " + url + ", with a maxReceiveCount of 5 or more",
			LeastDeliveries: leastDeliveries,
		}
		policy := out.Attributes[string(redrive)]
		if policy == "" {
			return f, nil
		}
		var to struct {
			Target  string      `json:"deadLetterTargetArn"`
			Receive json.Number `json:"maxReceiveCount"` // a number, or one in quotes
		}
		if err := json.Unmarshal([]byte(policy), &to); err != nil {
			return nil, fmt.Errorf("redrive policy %s of queue %s: %w", policy, url, err)
		}
		f.DeadLetterQueue = to.Target
		f.Deliveries, _ = strconv.Atoi(to.Receive.String())
		return f, nil
	}
}
