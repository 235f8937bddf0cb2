package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"
)

const (
	maxBatch    = 100
	delayHeader = "x-delay" // the plugin's
)

// topic publishes to one queue, on a channel of its own. A channel that has failed is not used again: the topic fails
// until pubsubq opens another.
type topic struct {
	queue, exchange string

	mu       sync.Mutex // one batch at a time, so that what is returned belongs to it
	ch       *amqp.Channel
	returned chan amqp.Return
}

var _ driver.Topic = (*topic)(nil)

func newTopic(ch *amqp.Channel, queue, exchange string) (*topic, error) {
	if err := ch.Confirm(false); err != nil {
		return nil, errors.Join(fmt.Errorf("turn confirms on: %w", err), ch.Close())
	}
	return &topic{queue: queue, exchange: exchange, ch: ch, returned: ch.NotifyReturn(make(chan amqp.Return, maxBatch))}, nil
}

// SendBatch publishes the messages, and waits until the broker has confirmed each, which means that they are on disk.
func (t *topic) SendBatch(ctx context.Context, ms []*driver.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	confirms := make([]*amqp.DeferredConfirmation, len(ms))
	for i, m := range ms {
		p, err := publishing(m)
		if err != nil {
			return err
		}
		exchange, mandatory := "", true
		if _, delayed := p.Headers[delayHeader]; delayed {
			exchange, mandatory = t.exchange, false // the plugin routes later, and so would return everything
		}
		confirms[i], err = t.ch.PublishWithDeferredConfirmWithContext(ctx, exchange, t.queue, mandatory, false, p)
		if err != nil {
			return fmt.Errorf("publish to %s: %w", t.queue, err)
		}
		if m.AfterSend != nil {
			if err := m.AfterSend(func(any) bool { return false }); err != nil {
				return err
			}
		}
	}
	for _, c := range confirms {
		acked, err := c.WaitContext(ctx)
		if err != nil {
			return fmt.Errorf("publish to %s: wait for the broker's confirm: %w", t.queue, err)
		}
		if !acked {
			return fmt.Errorf("publish to %s: %w", t.queue, errUnconfirmed)
		}
	}
	select {
	case r := <-t.returned: // the broker returns a message before it confirms it
		for len(t.returned) > 0 {
			<-t.returned
		}
		return &amqp.Error{Code: amqp.NotFound, Reason: fmt.Sprintf("message came back from queue %s: %s", t.queue, r.ReplyText)}
	default:
		return nil
	}
}

var errUnconfirmed = errors.New("the broker did not take the message, or the channel was lost")

// publishing is the broker's form of a message.
func publishing(m *driver.Message) (amqp.Publishing, error) {
	p := amqp.Publishing{Headers: amqp.Table{}, Body: m.Body, DeliveryMode: amqp.Persistent, ContentType: "application/json"}
	for k, v := range m.Metadata {
		p.Headers[k] = v
	}
	if m.BeforeSend == nil {
		return p, nil
	}
	err := m.BeforeSend(func(i any) bool {
		target, ok := i.(**amqp.Publishing)
		if ok {
			*target = &p
		}
		return ok
	})
	return p, err
}

// IsRetryable is false: pubsubq opens a new topic instead, on a new connection if need be.
func (*topic) IsRetryable(error) bool { return false }

// As gives access to the channel.
func (t *topic) As(i any) bool { return asChannel(t.ch, i) }

// ErrorAs gives access to the broker's error.
func (*topic) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies the broker's error.
func (*topic) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close closes the channel.
func (t *topic) Close() error { return closeChannel(t.ch) }

func asChannel(ch *amqp.Channel, i any) bool {
	p, ok := i.(**amqp.Channel)
	if ok {
		*p = ch
	}
	return ok
}

func closeChannel(ch *amqp.Channel) error {
	if err := ch.Close(); err != nil && !errors.Is(err, amqp.ErrClosed) {
		return err
	}
	return nil
}

func errorAs(err error, i any) bool {
	p, ok := i.(**amqp.Error)
	return ok && errors.As(err, p)
}

func errorCode(err error) gcerrors.ErrorCode {
	var broker *amqp.Error
	switch {
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	case !errors.As(err, &broker):
		return gcerrors.Unknown
	}
	switch broker.Code {
	case amqp.NotFound:
		return gcerrors.NotFound
	case amqp.AccessRefused, amqp.NotAllowed:
		return gcerrors.PermissionDenied
	case amqp.PreconditionFailed, amqp.ResourceLocked:
		return gcerrors.FailedPrecondition
	case amqp.ResourceError:
		return gcerrors.ResourceExhausted
	default:
		return gcerrors.Unknown
	}
}
