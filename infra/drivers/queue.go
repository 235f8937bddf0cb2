package drivers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/pubsubq"
)

// Queue is all queues of a deployment on one broker.
type Queue interface {
	// Sender returns the sender to all queues, the same at each call.
	Sender() *pubsubq.Sender
	// Receiver returns a new receiver of a queue. The caller shuts it down, before Close. A worker
	// that needs more throughput than one fetch at a time gives opens several.
	Receiver(queue string) *pubsubq.Receiver
	// Close shuts the sender down and closes the connections. It waits until messages under way are
	// sent, or until ctx ends.
	Close(ctx context.Context) error
}

// Broker is what a driver knows; [NewQueue] makes a Queue of it.
type Broker struct {
	// Topic opens a queue for sending, Subscription for receiving. They are called again after a
	// failure, and must then dial again if necessary.
	Topic        func(ctx context.Context, queue string) (*pubsub.Topic, error)
	Subscription func(ctx context.Context, queue string) (*pubsub.Subscription, error)
	// MaxDelay and Delay are as in pubsubq.SenderOptions; without them the broker cannot keep a
	// message back.
	MaxDelay time.Duration
	Delay    func(as func(any) bool, d time.Duration) error
	// Origin is as in pubsubq.ReceiverOptions. Without it a message that is delivered again may
	// make a second job, and a message that no kind here understands is parked at once. Optional.
	Origin func(as func(any) bool) pubsubq.Origin
	// Direct, if not nil, replaces all of the above.
	Direct pubsubq.Direct
	// Inspect is as in [Inspector]. Optional.
	Inspect func(ctx context.Context, queue string) (*QueueFacts, error)
	// Hide is as in [Hider]. Optional.
	Hide func(ctx context.Context, source string, some []Hidden) error
	// Close closes what the queues share. Optional.
	Close func(ctx context.Context) error
}

// NewQueue returns the queue of a broker.
func NewQueue(b Broker, log *slog.Logger) Queue {
	q := &queue{broker: b, log: log}
	q.sender = pubsubq.NewSender(b.Topic, &pubsubq.SenderOptions{
		MaxDelay: b.MaxDelay, Delay: b.Delay, Direct: b.Direct,
		OnError: func(queue string, err error) {
			log.LogAttrs(context.Background(), slog.LevelWarn, "queue cannot be sent to; it is opened again",
				slog.String("queue", queue), slog.Any("error", err))
		},
	})
	return q
}

type queue struct {
	broker Broker
	log    *slog.Logger
	sender *pubsubq.Sender
}

// Sender returns the sender to all queues.
func (q *queue) Sender() *pubsubq.Sender { return q.sender }

// Receiver returns a new receiver of a queue.
func (q *queue) Receiver(queue string) *pubsubq.Receiver {
	open := func(ctx context.Context) (*pubsub.Subscription, error) { return q.broker.Subscription(ctx, queue) }
	return pubsubq.NewReceiver(open, &pubsubq.ReceiverOptions{
		Queue: queue, Origin: q.broker.Origin, Direct: q.broker.Direct,
		OnError: func(err error) {
			q.log.LogAttrs(context.Background(), slog.LevelWarn, "queue cannot be received from; it is opened again",
				slog.String("queue", queue), slog.Any("error", err))
		},
	})
}

// Close shuts the sender down and closes the connections.
func (q *queue) Close(ctx context.Context) error {
	err := q.sender.Shutdown(ctx)
	if q.broker.Close == nil {
		return err
	}
	return errors.Join(err, pubsubq.Within(ctx, func() error { return q.broker.Close(ctx) }))
}
