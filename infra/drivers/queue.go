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
	// InTx is as in [TxSender]. Optional.
	InTx func(tx any) (pubsubq.Direct, error)
	// Close closes what the queues share. Optional.
	Close func(ctx context.Context) error
}

// TxSender is a Queue that may be able to send in a transaction of the caller, which is a pgx.Tx or
// a *sql.Tx. The result of [NewQueue] is one.
type TxSender interface {
	// InTx returns a sender in a transaction, or an error if the queues are not in its database.
	InTx(tx any) (*pubsubq.Sender, error)
}

// InTx implements [TxSender].
func (q *queue) InTx(tx any) (*pubsubq.Sender, error) {
	if q.broker.InTx == nil {
		return nil, errors.New("these queues are in no SQL database")
	}
	direct, err := q.broker.InTx(tx)
	if err != nil {
		return nil, err
	}
	return pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: direct}), nil
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

// QueueFacts are the settings of a queue that double work or lose messages without a trace if they
// are wrong, for the doctor. The drivers of SQS and Pub/Sub read them.
type QueueFacts struct {
	// Hidden is how long a received message is hidden from other receivers. HiddenName is the
	// service's word for that, and HiddenRemedy says how to change it, up to a " to DURATION" that
	// the caller adds.
	Hidden       time.Duration
	HiddenName   string
	HiddenRemedy string
	// Pulled says that only workers receive here, which extend the time while they hold a message.
	Pulled bool
	// Factor is by how many times the time should exceed the timeout of a function that the queue
	// calls, as the service advises. Most is the longest that the service allows.
	Factor int
	Most   time.Duration

	// DeadLetterQueue is where messages are set aside that were delivered Deliveries times; "":
	// nowhere. DeadRemedy says how to change that. The service advises at least LeastDeliveries.
	DeadLetterQueue             string
	DeadRemedy                  string
	Deliveries, LeastDeliveries int
}

// Inspector is a Queue that may know its facts. The result of [NewQueue] is one.
type Inspector interface {
	// Inspect reads the facts of a queue. It returns nil if the driver knows none.
	Inspect(ctx context.Context, queue string) (*QueueFacts, error)
}

// Inspect implements [Inspector].
func (q *queue) Inspect(ctx context.Context, queue string) (*QueueFacts, error) {
	if q.broker.Inspect == nil {
		return nil, nil
	}
	return q.broker.Inspect(ctx, queue)
}

// Hidden is a message that the platform has received, to call a function with it, and that the
// function gives back.
type Hidden struct {
	Receipt string        // by which the service knows this delivery
	For     time.Duration // after how long it should be delivered again
}

// Hider is a Queue that can say when such messages come again. The result of [NewQueue] is one. It
// does nothing where the service cannot do that.
type Hider interface {
	// Hide makes each message come again after its own time instead of the service's. Source is the
	// service's name of the queue. After an error some messages may come at another time.
	Hide(ctx context.Context, source string, some []Hidden) error
}

// Hide lets messages come again after some time.
func (q *queue) Hide(ctx context.Context, source string, some []Hidden) error {
	if q.broker.Hide == nil {
		return nil
	}
	return q.broker.Hide(ctx, source, some)
}
