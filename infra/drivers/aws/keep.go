package aws

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/piecework/piecework/pubsubq/keep"
)

// keeper extends the visibility timeout of messages that are held here. It learns of them by
// watching the requests of the client that receives, since gocloud's driver has no place for it.
type keeper struct {
	client     *sqs.Client
	visibility time.Duration
	log        *slog.Logger
	kept       *keep.Keeper[string, string] // URLs of queues by receipt handle
}

func newKeeper(client *sqs.Client, visibility, hold time.Duration, log *slog.Logger) *keeper {
	k := &keeper{client: client, visibility: visibility, log: log}
	k.kept = keep.New(visibility/3, hold, k.extend) // three times, so that one failure does no harm
	return k
}

// watch is an option of the client that receives.
func (k *keeper) watch(o *sqs.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("PieceworkKeeper", k.handle), middleware.After)
	})
}

func (k *keeper) handle(
	ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
) (middleware.InitializeOutput, middleware.Metadata, error) {
	switch req := in.Parameters.(type) {
	case *sqs.ReceiveMessageInput:
		req.VisibilityTimeout = k.seconds()                                                 // the queue's own may be too short to extend in time
		req.MessageSystemAttributeNames = append(req.MessageSystemAttributeNames, received) // for origin
		out, meta, err := next.HandleInitialize(ctx, in)
		if got, ok := out.Result.(*sqs.ReceiveMessageOutput); ok && err == nil {
			for _, m := range got.Messages {
				k.kept.Add(aws.ToString(m.ReceiptHandle), aws.ToString(req.QueueUrl))
			}
		}
		return out, meta, err
	case *sqs.DeleteMessageBatchInput:
		for _, e := range req.Entries {
			k.kept.Forget(aws.ToString(e.ReceiptHandle))
		}
	case *sqs.ChangeMessageVisibilityBatchInput:
		for _, e := range req.Entries {
			k.kept.Forget(aws.ToString(e.ReceiptHandle))
		}
	}
	return next.HandleInitialize(ctx, in)
}

func (k *keeper) seconds() int32 { return int32(k.visibility / time.Second) }

// extend extends messages, ten of a queue at a time.
func (k *keeper) extend(ctx context.Context, items map[string]string) {
	queues := map[string][]string{}
	for handle, queue := range items {
		queues[queue] = append(queues[queue], handle)
		if len(queues[queue]) == 10 {
			k.extendSome(ctx, queue, queues[queue])
			delete(queues, queue)
		}
	}
	for queue, handles := range queues {
		k.extendSome(ctx, queue, handles)
	}
}

// extendSome extends up to ten messages of one queue. One that SQS no longer knows is forgotten.
func (k *keeper) extendSome(ctx context.Context, queue string, handles []string) {
	req := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &queue}
	for i, h := range handles {
		req.Entries = append(req.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &h, VisibilityTimeout: k.seconds(),
		})
	}
	out, err := k.client.ChangeMessageVisibilityBatch(ctx, req)
	if err != nil {
		k.log.LogAttrs(ctx, slog.LevelWarn, "messages could not be kept; they may be delivered again",
			slog.String("queue_url", queue), slog.Int("messages", len(handles)), slog.Any("error", err))
		return
	}
	for _, f := range out.Failed {
		if i, err := strconv.Atoi(aws.ToString(f.Id)); err == nil && i < len(handles) && f.SenderFault {
			k.kept.Forget(handles[i])
		}
	}
}

// close stops extending.
func (k *keeper) close(context.Context) error {
	k.kept.Close()
	return nil
}
