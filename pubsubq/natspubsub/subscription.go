package natspubsub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/pubsubq/keep"
)

// waitMessage is how long a receive waits for a message.
const waitMessage = time.Second

// OpenSubscription opens the stream of a subject for receiving. Opts may be nil.
func OpenSubscription(ctx context.Context, conn *Conn, subject string, opts *Options) (*pubsub.Subscription, error) {
	o := opts.withDefaults(subject)
	js, stream, err := o.ensure(ctx, conn, subject)
	if err != nil {
		return nil, err
	}
	c, err := stream.Consumer(ctx, o.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) && !o.MustExist {
		c, err = stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: o.Consumer, FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: o.AckWait, MaxDeliver: -1, MaxAckPending: -1,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("consumer %s of stream %s: %w", o.Consumer, o.Stream, err)
	}
	sub := &subscription{conn: js.Conn(), consumer: c, nackDelay: o.NackDelay}
	sub.kept = keep.New(ackWait(c.CachedInfo().Config, o.AckWait)/3, o.Hold, extend)
	return pubsub.NewSubscription(sub, &batcher.Options{MaxBatchSize: o.Prefetch, MaxHandlers: 1},
		&batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 1}), nil
}

// ackWait returns how long a consumer waits for an ack. A consumer that exists keeps the time that
// it was created with.
func ackWait(c jetstream.ConsumerConfig, asked time.Duration) time.Duration {
	if c.AckWait > 0 {
		asked = c.AckWait
	}
	for _, wait := range c.BackOff { // replaces AckWait, delivery by delivery
		asked = min(asked, wait)
	}
	return max(asked, 100*time.Millisecond)
}

// extend restarts the ack wait of messages.
func extend(ctx context.Context, items map[jetstream.Msg]struct{}) {
	for m := range items {
		if ctx.Err() != nil {
			return
		}
		_ = m.InProgress() // extend runs three times an ack wait, so one may be lost
	}
}

// subscription pulls from the durable consumer. It asks for messages only when there is room, so
// that the server pushes none ahead.
type subscription struct {
	conn      *nats.Conn
	consumer  jetstream.Consumer
	nackDelay time.Duration
	kept      *keep.Keeper[jetstream.Msg, struct{}]
}

var _ driver.Subscription = (*subscription)(nil)

// ReceiveBatch returns up to most of the messages that are there, or waits for the next one.
func (s *subscription) ReceiveBatch(ctx context.Context, most int) ([]*driver.Message, error) {
	if most > 1 {
		got, err := s.consumer.FetchNoWait(most)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		if ms, err := s.collect(got); len(ms) > 0 || err != nil {
			return ms, err
		}
	}
	wait, cancel := context.WithTimeout(ctx, waitMessage)
	defer cancel()
	got, err := s.consumer.Fetch(1, jetstream.FetchContext(wait)) // returns as soon as it has one
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return s.collect(got)
}

// collect reads a batch to its end.
func (s *subscription) collect(got jetstream.MessageBatch) ([]*driver.Message, error) {
	var ms []*driver.Message
	for m := range got.Messages() {
		s.kept.Add(m, struct{}{})
		ms = append(ms, decode(m))
	}
	err := got.Error()
	if len(ms) > 0 || err == nil || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, jetstream.ErrNoMessages) {
		return ms, nil
	}
	return nil, fmt.Errorf("fetch: %w", err)
}

// SendAcks acks messages, and waits until the server has read the acks.
func (s *subscription) SendAcks(ctx context.Context, ids []driver.AckID) error {
	return s.settle(ctx, ids, jetstream.Msg.Ack)
}

// CanNack returns true.
func (*subscription) CanNack() bool { return true }

// SendNacks gives messages back. They come again after the nack delay.
func (s *subscription) SendNacks(ctx context.Context, ids []driver.AckID) error {
	return s.settle(ctx, ids, func(m jetstream.Msg) error { return m.NakWithDelay(s.nackDelay) })
}

func (s *subscription) settle(ctx context.Context, ids []driver.AckID, do func(jetstream.Msg) error) error {
	for _, id := range ids {
		m := id.(jetstream.Msg)
		s.kept.Forget(m)
		if err := do(m); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			return fmt.Errorf("settle message %s: %w", loggable(m), err)
		}
	}
	if err := flush(ctx, s.conn); err != nil {
		return fmt.Errorf("settle %d messages: %w", len(ids), err)
	}
	return nil
}

// IsRetryable returns false: pubsubq opens a new subscription instead, which creates the consumer
// again if it is gone.
func (*subscription) IsRetryable(error) bool { return false }

// As gives access to the consumer and the driver.
func (s *subscription) As(i any) bool {
	switch p := i.(type) {
	case *jetstream.Consumer:
		*p = s.consumer
	case *driver.Subscription:
		*p = s
	default:
		return false
	}
	return true
}

// ErrorAs returns false: nats.go's errors are values, for errors.Is.
func (*subscription) ErrorAs(error, any) bool { return false }

// ErrorCode classifies an error.
func (*subscription) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close stops extending. The server delivers again what is neither acked nor nacked.
func (s *subscription) Close() error {
	s.kept.Close()
	return nil
}
