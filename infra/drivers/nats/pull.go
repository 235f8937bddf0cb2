package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/internal/keep"
)

// maxBatch is how many messages are sent or acknowledged together.
const maxBatch = 100

// waitMessage is how long a receive waits.
const waitMessage = time.Second

// subscription returns what opens a lane for receiving.
func (s *streams) subscription(l *line) func(context.Context, string) (*pubsub.Subscription, error) {
	return func(ctx context.Context, lane string) (*pubsub.Subscription, error) {
		js, stream, err := s.ensure(ctx, l, lane)
		if err != nil {
			return nil, err
		}
		c, err := stream.Consumer(ctx, s.consumer)
		if errors.Is(err, jetstream.ErrConsumerNotFound) && s.declare {
			c, err = stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
				Durable: s.consumer, FilterSubject: drivers.InLane(s.subject, lane), AckPolicy: jetstream.AckExplicitPolicy,
				AckWait: s.ackWait, MaxDeliver: -1, MaxAckPending: -1, // attempts are counted in the record, not here
			})
		}
		if err != nil {
			return nil, fmt.Errorf("consumer %s of stream %s: %w", s.consumer, s.streamOf(lane), err)
		}
		sub := &pull{conn: js.Conn(), consumer: c, nackDelay: s.nackDelay}
		sub.kept = keep.New(patienceOf(c.CachedInfo().Config, s.ackWait)/3, s.hold, extend)
		return pubsub.NewSubscription(sub, &batcher.Options{MaxBatchSize: s.prefetch, MaxHandlers: 1},
			&batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 1}), nil
	}
}

// patienceOf is how long a consumer waits for an ack. One that exists keeps what it was made with.
func patienceOf(c jetstream.ConsumerConfig, asked time.Duration) time.Duration {
	if c.AckWait > 0 {
		asked = c.AckWait
	}
	for _, wait := range c.BackOff { // takes the place of AckWait, delivery by delivery
		asked = min(asked, wait)
	}
	return max(asked, 100*time.Millisecond)
}

// extend tells the server that messages are still being worked on.
func extend(ctx context.Context, items map[jetstream.Msg]struct{}) {
	for m := range items {
		if ctx.Err() != nil {
			return
		}
		_ = m.InProgress() // if it is lost, the next one makes up for it
	}
}

// pull receives from the durable consumer that all receivers of a lane share. It asks for messages only when there is
// room, so nothing is pushed ahead.
type pull struct {
	conn      *nats.Conn
	consumer  jetstream.Consumer
	nackDelay time.Duration
	kept      *keep.Keeper[jetstream.Msg, struct{}]
}

var _ driver.Subscription = (*pull)(nil)

// ReceiveBatch waits for a message, and returns up to most of those that are there.
func (s *pull) ReceiveBatch(ctx context.Context, most int) ([]*driver.Message, error) {
	// What is there comes first, as much as fits; otherwise the next message, alone, as soon as it comes.
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
	got, err := s.consumer.Fetch(1, jetstream.FetchContext(wait))
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return s.collect(got)
}

// collect reads a batch to its end.
func (s *pull) collect(got jetstream.MessageBatch) ([]*driver.Message, error) {
	var ms []*driver.Message
	for m := range got.Messages() {
		s.kept.Add(m, struct{}{})
		ms = append(ms, decode(loggable(m), m.Data(), m.Headers(), m, m))
	}
	err := got.Error()
	if len(ms) > 0 || err == nil || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, jetstream.ErrNoMessages) {
		return ms, nil
	}
	return nil, fmt.Errorf("fetch: %w", err)
}

// loggable is a message's place in the stream.
func loggable(m jetstream.Msg) string {
	meta, err := m.Metadata()
	if err != nil {
		return m.Subject()
	}
	return meta.Stream + "/" + strconv.FormatUint(meta.Sequence.Stream, 10)
}

// SendAcks acks messages, and waits until the server has that.
func (s *pull) SendAcks(ctx context.Context, ids []driver.AckID) error {
	return s.settle(ctx, ids, jetstream.Msg.Ack)
}

// CanNack is true.
func (*pull) CanNack() bool { return true }

// SendNacks gives messages back, to come again after a moment.
func (s *pull) SendNacks(ctx context.Context, ids []driver.AckID) error {
	return s.settle(ctx, ids, func(m jetstream.Msg) error { return m.NakWithDelay(s.nackDelay) })
}

func (s *pull) settle(ctx context.Context, ids []driver.AckID, do func(jetstream.Msg) error) error {
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

// IsRetryable is false: pubsubq opens a new subscription instead, which makes the consumer again if it is gone.
func (*pull) IsRetryable(error) bool { return false }

// As gives access to the consumer.
func (s *pull) As(i any) bool {
	p, ok := i.(*jetstream.Consumer)
	if ok {
		*p = s.consumer
	}
	return ok
}

// ErrorAs knows no types.
func (*pull) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies an error.
func (*pull) ErrorCode(err error) gcerrors.ErrorCode { return streamError(err) }

// Close lets go of what is held; the server delivers it again.
func (s *pull) Close() error {
	s.kept.Close()
	return nil
}
