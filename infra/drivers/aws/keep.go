package aws

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"
)

// keeper extends the visibility timeout of messages that have been received here and are neither acked nor nacked, since
// gocloud does not: a worker that holds a message back would otherwise see it delivered to another. It learns of them by
// watching the requests of the client that receives. It ends by itself with the last message that it keeps.
type keeper struct {
	client     *sqs.Client
	visibility time.Duration
	hold       time.Duration
	log        *slog.Logger

	mu      sync.Mutex
	kept    map[string]keptMessage // by receipt handle
	running bool
	life    context.Context
	stop    context.CancelFunc
	done    sync.WaitGroup
}

type keptMessage struct {
	queue string
	until time.Time // when to give it up
}

func newKeeper(client *sqs.Client, visibility, hold time.Duration, log *slog.Logger) *keeper {
	k := &keeper{client: client, visibility: visibility, hold: hold, log: log, kept: map[string]keptMessage{}}
	k.life, k.stop = context.WithCancel(context.Background())
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
		req.VisibilityTimeout = int32(k.visibility / time.Second) // the queue's own may be too short to extend in time
		out, meta, err := next.HandleInitialize(ctx, in)
		if got, ok := out.Result.(*sqs.ReceiveMessageOutput); ok && err == nil {
			k.add(aws.ToString(req.QueueUrl), got.Messages)
		}
		return out, meta, err
	case *sqs.DeleteMessageBatchInput:
		for _, e := range req.Entries {
			k.forget(aws.ToString(e.ReceiptHandle))
		}
	case *sqs.ChangeMessageVisibilityBatchInput:
		for _, e := range req.Entries {
			k.forget(aws.ToString(e.ReceiptHandle))
		}
	}
	return next.HandleInitialize(ctx, in)
}

func (k *keeper) add(queue string, msgs []types.Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(msgs) == 0 || k.hold <= 0 || k.life.Err() != nil {
		return
	}
	for _, m := range msgs {
		k.kept[aws.ToString(m.ReceiptHandle)] = keptMessage{queue: queue, until: time.Now().Add(k.hold)}
	}
	if !k.running {
		k.running = true
		k.done.Go(k.run)
	}
}

func (k *keeper) forget(handle string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.kept, handle)
}

// run extends what is kept, three times in each timeout so that one failure does no harm.
func (k *keeper) run() {
	tick := time.NewTicker(k.visibility / 3)
	defer tick.Stop()
	for {
		select {
		case <-k.life.Done():
			return
		case now := <-tick.C:
			queues, more := k.due(now)
			if !more {
				return
			}
			for queue, handles := range queues {
				for len(handles) > 0 {
					n := min(len(handles), 10)
					k.extend(queue, handles[:n])
					handles = handles[n:]
				}
			}
		}
	}
}

// due returns the handles to extend, by queue; more is false, and run must end, if nothing is kept.
func (k *keeper) due(now time.Time) (queues map[string][]string, more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	queues = map[string][]string{}
	for handle, m := range k.kept {
		if now.After(m.until) {
			delete(k.kept, handle)
			continue
		}
		queues[m.queue] = append(queues[m.queue], handle)
	}
	k.running = len(k.kept) > 0
	return queues, k.running
}

// extend extends up to ten messages of one queue. One that SQS no longer knows is forgotten.
func (k *keeper) extend(queue string, handles []string) {
	ctx, cancel := context.WithTimeout(k.life, k.visibility/3)
	defer cancel()
	req := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &queue}
	for i, h := range handles {
		req.Entries = append(req.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &h, VisibilityTimeout: int32(k.visibility / time.Second),
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
			k.forget(handles[i])
		}
	}
}

// close stops extending.
func (k *keeper) close(context.Context) error {
	k.mu.Lock()
	k.stop()
	k.mu.Unlock()
	k.done.Wait()
	return nil
}
