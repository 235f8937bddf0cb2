package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/infra/drivers"
)

const maxBatch = 100

// waitMessage is how long a receive waits.
const waitMessage = time.Second

func (l *line) coreTopic(subject string) func(context.Context, string) (*pubsub.Topic, error) {
	return func(ctx context.Context, lane string) (*pubsub.Topic, error) {
		conn, err := l.get(ctx)
		if err != nil {
			return nil, err
		}
		t := &coreTopic{conn: conn, subject: drivers.InLane(subject, lane)}
		return pubsub.NewTopic(t, &batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 2}), nil
	}
}

func (l *line) coreSubscription(subject, group string) func(context.Context, string) (*pubsub.Subscription, error) {
	return func(ctx context.Context, lane string) (*pubsub.Subscription, error) {
		conn, err := l.get(ctx)
		if err != nil {
			return nil, err
		}
		name := drivers.InLane(subject, lane)
		sub, err := conn.QueueSubscribeSync(name, group)
		if err == nil {
			err = flush(ctx, conn) // or the next message could pass us by
		}
		if err != nil {
			return nil, fmt.Errorf("subscribe to %s: %w", name, err)
		}
		return pubsub.NewSubscription(&coreSubscription{sub: sub}, &batcher.Options{MaxBatchSize: 1, MaxHandlers: 1},
			&batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 1}), nil
	}
}

// coreTopic publishes to a subject.
type coreTopic struct {
	conn    *nats.Conn
	subject string
}

var _ driver.Topic = (*coreTopic)(nil)

// SendBatch publishes the messages and waits until the server has them; whether anybody receives them it does not know.
func (t *coreTopic) SendBatch(ctx context.Context, ms []*driver.Message) error {
	for _, m := range ms {
		out, err := encode(t.subject, m)
		if err != nil {
			return err
		}
		if err := t.conn.PublishMsg(out.Msg); err != nil {
			return fmt.Errorf("publish to %s: %w", t.subject, err)
		}
		if err := sent(m); err != nil {
			return err
		}
	}
	if err := flush(ctx, t.conn); err != nil {
		return fmt.Errorf("publish to %s: %w", t.subject, err)
	}
	return nil
}

// IsRetryable is false: the library has tried.
func (*coreTopic) IsRetryable(error) bool { return false }

// As gives access to the connection.
func (t *coreTopic) As(i any) bool { return asConn(t.conn, i) }

// ErrorAs knows no types.
func (*coreTopic) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies an error.
func (*coreTopic) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close leaves the connection open, which others use.
func (*coreTopic) Close() error { return nil }

func asConn(conn *nats.Conn, i any) bool {
	p, ok := i.(**nats.Conn)
	if ok {
		*p = conn
	}
	return ok
}

// coreSubscription receives as a member of a group.
type coreSubscription struct{ sub *nats.Subscription }

var _ driver.Subscription = (*coreSubscription)(nil)

// ReceiveBatch waits for a message.
func (s *coreSubscription) ReceiveBatch(ctx context.Context, _ int) ([]*driver.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, waitMessage)
	defer cancel()
	m, err := s.sub.NextMsgWithContext(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("receive from %s: %w", s.sub.Subject, err)
	}
	return []*driver.Message{decode(m.Subject, m.Data, m.Header, m, nil)}, nil
}

// SendAcks does nothing: the server has forgotten the message.
func (*coreSubscription) SendAcks(context.Context, []driver.AckID) error { return nil }

// CanNack is false.
func (*coreSubscription) CanNack() bool { return false }

// SendNacks is not called.
func (*coreSubscription) SendNacks(context.Context, []driver.AckID) error { return nil }

// IsRetryable is false: pubsubq subscribes again instead.
func (*coreSubscription) IsRetryable(error) bool { return false }

// As gives access to the subscription.
func (s *coreSubscription) As(i any) bool {
	p, ok := i.(**nats.Subscription)
	if ok {
		*p = s.sub
	}
	return ok
}

// ErrorAs knows no types.
func (*coreSubscription) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies an error.
func (*coreSubscription) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close leaves the group.
func (s *coreSubscription) Close() error {
	if err := s.sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
		return err
	}
	return nil
}
