package servicebus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/pubsubq/keep"
)

// waitMessage is how long a receive waits for a message.
const waitMessage = 2 * time.Second

// Options are the options of a subscription. The zero value is good.
type Options struct {
	// Subscription is the subscription to receive from, if the name names a topic.
	Subscription string
	// Prefetch is how many messages are fetched at a time. Default 1.
	Prefetch int
	// Renew is the interval at which locks are renewed. Default 10 seconds.
	Renew time.Duration
	// Hold is how long the lock of one message is renewed. Default 15 minutes; negative: not at
	// all.
	Hold time.Duration
}

// OpenSubscription opens a queue, or a subscription of a topic, for receiving. It does not check
// that it exists. Opts may be nil.
func OpenSubscription(client *azservicebus.Client, name string, opts *Options) (*pubsub.Subscription, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	mode := &azservicebus.ReceiverOptions{ReceiveMode: azservicebus.ReceiveModePeekLock}
	var r *azservicebus.Receiver
	var err error
	if o.Subscription == "" {
		r, err = client.NewReceiverForQueue(name, mode)
	} else {
		r, err = client.NewReceiverForSubscription(name, o.Subscription, mode)
	}
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", name, err)
	}
	s := newSubscription(r, name, cmp.Or(o.Renew, 10*time.Second), cmp.Or(o.Hold, 15*time.Minute))
	// One receive at a time: a receiver refuses concurrent ones.
	return pubsub.NewSubscription(s, &batcher.Options{MaxBatchSize: cmp.Or(o.Prefetch, 1), MaxHandlers: 1},
		&batcher.Options{MaxBatchSize: 1, MaxHandlers: 10}), nil
}

// receiver has the methods of *azservicebus.Receiver that a subscription uses. Tests have another
// one.
type receiver interface {
	ReceiveMessages(ctx context.Context, most int, opts *azservicebus.ReceiveMessagesOptions) ([]*azservicebus.ReceivedMessage, error)
	CompleteMessage(ctx context.Context, m *azservicebus.ReceivedMessage, opts *azservicebus.CompleteMessageOptions) error
	AbandonMessage(ctx context.Context, m *azservicebus.ReceivedMessage, opts *azservicebus.AbandonMessageOptions) error
	RenewMessageLock(ctx context.Context, m *azservicebus.ReceivedMessage, opts *azservicebus.RenewMessageLockOptions) error
	Close(ctx context.Context) error
}

type subscription struct {
	name string
	r    receiver
	kept *keep.Keeper[*azservicebus.ReceivedMessage, struct{}]
}

var _ driver.Subscription = (*subscription)(nil)

func newSubscription(r receiver, name string, renew, hold time.Duration) *subscription {
	s := &subscription{name: name, r: r}
	s.kept = keep.New(renew, hold, s.renewAll)
	return s
}

// renewAll renews locks. A lost lock cannot be renewed.
func (s *subscription) renewAll(ctx context.Context, items map[*azservicebus.ReceivedMessage]struct{}) {
	for m := range items {
		if lost(s.r.RenewMessageLock(ctx, m, nil)) {
			s.kept.Forget(m)
		}
	}
}

// ReceiveBatch waits for messages.
func (s *subscription) ReceiveBatch(ctx context.Context, most int) ([]*driver.Message, error) {
	wait, cancel := context.WithTimeout(ctx, waitMessage)
	defer cancel()
	got, err := s.r.ReceiveMessages(wait, most, nil)
	var ms []*driver.Message
	for _, m := range got {
		s.kept.Add(m, struct{}{})
		ms = append(ms, incoming(m))
	}
	switch {
	case len(ms) > 0 || err == nil:
		return ms, nil // the next call returns the error
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return nil, nil // no message
	default:
		return nil, fmt.Errorf("receive from %s: %w", s.name, err)
	}
}

func incoming(m *azservicebus.ReceivedMessage) *driver.Message {
	out := &driver.Message{LoggableID: m.MessageID, Body: m.Body, AckID: m, AsFunc: func(i any) bool {
		p, ok := i.(**azservicebus.ReceivedMessage)
		if ok {
			*p = m
		}
		return ok
	}}
	for k, v := range m.ApplicationProperties {
		if text, ok := v.(string); ok {
			if out.Metadata == nil {
				out.Metadata = map[string]string{}
			}
			out.Metadata[k] = text
		}
	}
	// In AMQP the content type is a property, where CloudEvents have the type of their data.
	// Without it, JSON is assumed.
	if m.ContentType != nil && *m.ContentType != "" && *m.ContentType != "application/json" {
		if out.Metadata == nil {
			out.Metadata = map[string]string{}
		}
		out.Metadata["content-type"] = *m.ContentType
	}
	return out
}

// SendAcks completes messages. A message whose lock was lost comes again, which is no error.
func (s *subscription) SendAcks(ctx context.Context, ids []driver.AckID) error {
	return s.settle(ids, func(m *azservicebus.ReceivedMessage) error { return s.r.CompleteMessage(ctx, m, nil) })
}

// CanNack returns true.
func (*subscription) CanNack() bool { return true }

// SendNacks gives messages back. They come again at once.
func (s *subscription) SendNacks(ctx context.Context, ids []driver.AckID) error {
	return s.settle(ids, func(m *azservicebus.ReceivedMessage) error { return s.r.AbandonMessage(ctx, m, nil) })
}

func (s *subscription) settle(ids []driver.AckID, do func(*azservicebus.ReceivedMessage) error) error {
	var errs []error
	for _, id := range ids {
		m := id.(*azservicebus.ReceivedMessage)
		s.kept.Forget(m)
		if err := do(m); err != nil && !lost(err) {
			errs = append(errs, fmt.Errorf("settle message %s of %s: %w", m.MessageID, s.name, err))
		}
	}
	return errors.Join(errs...)
}

// lost reports whether a lock was lost.
func lost(err error) bool {
	broker, ok := errors.AsType[*azservicebus.Error](err)
	return ok && broker.Code == azservicebus.CodeLockLost
}

// IsRetryable returns false: the library has retried, and pubsubq opens a new subscription.
func (*subscription) IsRetryable(error) bool { return false }

// As gives access to the receiver and the driver.
func (s *subscription) As(i any) bool {
	switch p := i.(type) {
	case **azservicebus.Receiver:
		r, ok := s.r.(*azservicebus.Receiver)
		*p = r
		return ok
	case *driver.Subscription:
		*p = s
		return true
	default:
		return false
	}
}

// ErrorAs gives access to the library's error.
func (*subscription) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies the library's error.
func (*subscription) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close stops renewing and closes the link. Messages that are neither acked nor nacked come again
// when their lock ends.
func (s *subscription) Close() error {
	s.kept.Close()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return s.r.Close(ctx)
}
