package azure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/infra/drivers/internal/keep"
)

// waitMessage is how long a receive waits.
const waitMessage = 2 * time.Second

// receiver is what a subscription needs of *azservicebus.Receiver; tests have another.
type receiver interface {
	ReceiveMessages(ctx context.Context, most int, opts *azservicebus.ReceiveMessagesOptions) ([]*azservicebus.ReceivedMessage, error)
	CompleteMessage(ctx context.Context, m *azservicebus.ReceivedMessage, opts *azservicebus.CompleteMessageOptions) error
	AbandonMessage(ctx context.Context, m *azservicebus.ReceivedMessage, opts *azservicebus.AbandonMessageOptions) error
	RenewMessageLock(ctx context.Context, m *azservicebus.ReceivedMessage, opts *azservicebus.RenewMessageLockOptions) error
	Close(ctx context.Context) error
}

// subscription receives by peek and lock, and renews the locks of what is held here.
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

// renewAll renews locks. One that was lost is not to be had again.
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
		return ms, nil // an error comes again with the next call
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return nil, nil // there was none in that time
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
	// A property in AMQP, where CloudEvents have the type of their data. JSON is what is assumed without it.
	if m.ContentType != nil && *m.ContentType != "" && *m.ContentType != "application/json" {
		if out.Metadata == nil {
			out.Metadata = map[string]string{}
		}
		out.Metadata["content-type"] = *m.ContentType
	}
	return out
}

// SendAcks completes messages. One whose lock was lost comes again, which is no error.
func (s *subscription) SendAcks(ctx context.Context, ids []driver.AckID) error {
	return s.settle(ids, func(m *azservicebus.ReceivedMessage) error { return s.r.CompleteMessage(ctx, m, nil) })
}

// CanNack is true.
func (*subscription) CanNack() bool { return true }

// SendNacks gives messages back.
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
	var broker *azservicebus.Error
	return errors.As(err, &broker) && broker.Code == azservicebus.CodeLockLost
}

// IsRetryable is false: the library has tried, and pubsubq opens a new subscription.
func (*subscription) IsRetryable(error) bool { return false }

// As gives access to the receiver.
func (s *subscription) As(i any) bool {
	p, ok := i.(**azservicebus.Receiver)
	if !ok {
		return false
	}
	r, ok := s.r.(*azservicebus.Receiver)
	*p = r
	return ok
}

// ErrorAs gives access to the library's error.
func (*subscription) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies the library's error.
func (*subscription) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close closes the link; what is held comes again when its lock ends.
func (s *subscription) Close() error {
	s.kept.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.r.Close(ctx)
}
