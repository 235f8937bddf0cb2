package proof

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// garbage are messages that no job can be made of: each is parked.
var garbage = []string{`{`, `{"kind":"no.such.kind"}`, `{"kind":"endtoend.plain","args":{"number":"x"}}`, `hello`, `{"kind":"endtoend.plain","delay":"x"}`}

// submitAll submits all jobs, each in its way.
func (c *cloud) submitAll(all []job, api *apiclient.Client) {
	c.t.Helper()
	var direct, messages []job
	for _, j := range all {
		switch j.way {
		case byAPI:
			direct = append(direct, j)
		case byProgram:
			if _, err := c.client.Submit(c.t.Context(), j.submit.Kind, Task{Number: j.number}, functions.Tags(j.submit.Tags...)); err != nil {
				c.t.Fatal(err)
			}
		default:
			messages = append(messages, j)
			if j.way == byKeyed {
				messages = append(messages, j)
			}
		}
	}
	stop := inBackground(c.t, func(ctx context.Context) {
		for len(messages) > 0 {
			n := min(len(messages), 10)
			c.send(ctx, messages[:n])
			messages = messages[n:]
		}
		for _, body := range garbage {
			if _, err := c.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(c.queueURL("submit")), MessageBody: &body}); err != nil {
				c.t.Error(err)
			}
		}
	})
	const portion = 20
	for len(direct) > 0 {
		n := min(len(direct), portion)
		c.submitMany(c.t.Context(), api, direct[:n])
		direct = direct[n:]
	}
	stop()
}

// submitMany asks the API, again if there is no answer.
func (c *cloud) submitMany(ctx context.Context, api *apiclient.Client, some []job) {
	c.t.Helper()
	subs := make([]wire.Submit, len(some))
	for i, j := range some {
		subs[i] = j.submit
	}
	end := time.Now().Add(time.Minute)
	for {
		receipts, err := api.SubmitMany(ctx, subs)
		switch {
		case err == nil && receipts.Refused > 0:
			c.t.Fatalf("%d jobs were refused: %+v", receipts.Refused, receipts.Receipts)
		case err == nil:
			return
		case time.Now().After(end):
			c.t.Fatalf("submit for a minute: %v", err)
		}
		_ = pause(ctx, 100*time.Millisecond)
	}
}

// send sends up to ten jobs to the submit queue.
func (c *cloud) send(ctx context.Context, some []job) {
	c.t.Helper()
	var entries []types.SendMessageBatchRequestEntry
	size := 0
	for i, j := range some {
		body, attributes := j.message()
		e := types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &body}
		for name, value := range attributes {
			if e.MessageAttributes == nil {
				e.MessageAttributes = map[string]types.MessageAttributeValue{}
			}
			e.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
		}
		if size += len(body); size > 900_000 { // a batch may have a megabyte
			c.send(ctx, some[i:])
			break
		}
		entries = append(entries, e)
	}
	out, err := c.sqs.SendMessageBatch(context.WithoutCancel(ctx), &sqs.SendMessageBatchInput{QueueUrl: aws.String(c.queueURL("submit")), Entries: entries})
	if err != nil || len(out.Failed) > 0 {
		c.t.Errorf("send: %v, %+v", err, out)
	}
}

// found lists all jobs by their number. A number that two jobs have is an error.
func (c *cloud) found(t *testing.T) map[int]functions.Info {
	t.Helper()
	out := map[int]functions.Info{}
	for cursor := ""; ; {
		page, err := c.client.List(t.Context(), functions.ListFilter{Limit: 1000, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range page.Jobs {
			if len(info.Tags) != 1 {
				t.Fatalf("job %s has the tags %q", info.ID, info.Tags)
			}
			n, err := strconv.Atoi(info.Tags[0][len("n-"):])
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := out[n]; ok && other.ID != info.ID {
				t.Errorf("job %d was made twice: %s and %s", n, other.ID, info.ID)
			}
			out[n] = info
		}
		if cursor = page.Next; cursor == "" {
			return out
		}
	}
}
