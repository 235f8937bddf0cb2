package rabbitpubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"
)

const (
	maxBatch    = 100
	delayHeader = "x-delay" // the plugin's

	// The first and the last pause before refused messages are published again: a second in all.
	firstPause = 30 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// MaxDelay is the longest delay that [DelayHook] takes: the plugin's header is a signed number of
// milliseconds.
const MaxDelay = (1<<31 - 1) * time.Millisecond

// DelayHook delays a message. Call it in pubsub.Message.BeforeSend, with the function that the hook
// gets.
func DelayHook(as func(any) bool, d time.Duration) error {
	var m *amqp.Publishing
	if !as(&m) {
		return fmt.Errorf("delay %v: this is not a message of RabbitMQ", d)
	}
	ms := (d + time.Millisecond - 1) / time.Millisecond // rounded up: never early
	m.Headers[delayHeader] = int32(min(ms, 1<<31-1))
	return nil
}

// OpenTopic opens a queue for sending. Opts may be nil.
func OpenTopic(ctx context.Context, conn *Conn, queue string, opts *Options) (*pubsub.Topic, error) {
	o := opts.withDefaults()
	ch, err := o.channel(ctx, conn, queue)
	if err != nil {
		return nil, err
	}
	if err := ch.Confirm(false); err != nil {
		return nil, errors.Join(fmt.Errorf("turn confirms on: %w", err), ch.Close())
	}
	t := &topic{
		queue: queue, exchange: o.DelayExchange, ch: ch, returned: ch.NotifyReturn(make(chan amqp.Return, maxBatch)),
	}
	return pubsub.NewTopic(t, &batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 1}), nil
}

// topic publishes on one channel. It fails for good when the channel has failed.
type topic struct {
	queue, exchange string

	mu       sync.Mutex // one batch at a time, so that returned messages belong to it
	ch       *amqp.Channel
	returned chan amqp.Return
}

var _ driver.Topic = (*topic)(nil)

// SendBatch publishes the messages, and waits until the broker has confirmed each, which means that
// it is on disk. A message that the broker refuses is published again for a while, because a quorum
// queue refuses messages until all its parts have started.
func (t *topic) SendBatch(ctx context.Context, ms []*driver.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := make([]amqp.Publishing, len(ms))
	for i, m := range ms {
		var err error
		if left[i], err = publishing(m); err != nil {
			return err
		}
	}
	for pause := firstPause; ; pause *= 2 {
		var err error
		left, err = t.publish(ctx, left)
		if err == nil && len(left) > 0 && (pause > lastPause || t.ch.IsClosed()) {
			err = errUnconfirmed
		}
		if err != nil {
			return fmt.Errorf("publish to %s: %w", t.queue, err)
		}
		if len(left) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("publish to %s: %w: %w", t.queue, errUnconfirmed, ctx.Err())
		case <-time.After(pause):
		}
	}
	for _, m := range ms {
		if m.AfterSend != nil {
			if err := m.AfterSend(func(any) bool { return false }); err != nil {
				return err
			}
		}
	}
	return t.unroutable()
}

// publish publishes messages once, and returns those that the broker refused.
func (t *topic) publish(ctx context.Context, ps []amqp.Publishing) (refused []amqp.Publishing, err error) {
	confirms := make([]*amqp.DeferredConfirmation, len(ps))
	for i, p := range ps {
		exchange, mandatory := "", true
		if _, delayed := p.Headers[delayHeader]; delayed {
			exchange, mandatory = t.exchange, false // the plugin routes later, so mandatory would return every message
		}
		confirms[i], err = t.ch.PublishWithDeferredConfirmWithContext(ctx, exchange, t.queue, mandatory, false, p)
		if err != nil {
			return nil, err
		}
	}
	for i, c := range confirms {
		acked, err := c.WaitContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("wait for the broker's confirm: %w", err)
		}
		if !acked {
			refused = append(refused, ps[i])
		}
	}
	return refused, nil
}

// unroutable returns an error if a message came back. The broker returns a message before it
// confirms it.
func (t *topic) unroutable() error {
	select {
	case r, ok := <-t.returned:
		if !ok { // the channel was lost after all confirms
			return nil
		}
		for len(t.returned) > 0 {
			<-t.returned
		}
		return &amqp.Error{Code: amqp.NotFound, Reason: fmt.Sprintf("message came back from queue %s: %s", t.queue, r.ReplyText)}
	default:
		return nil
	}
}

var errUnconfirmed = errors.New("the broker did not take the message, or the channel was lost")

// publishing returns the broker's form of a message.
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

// IsRetryable returns false: pubsubq opens a new topic instead.
func (*topic) IsRetryable(error) bool { return false }

// As gives access to the channel and the driver.
func (t *topic) As(i any) bool {
	switch p := i.(type) {
	case **amqp.Channel:
		*p = t.ch
	case *driver.Topic:
		*p = t
	default:
		return false
	}
	return true
}

// ErrorAs gives access to the broker's error.
func (*topic) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies the broker's error.
func (*topic) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close closes the channel.
func (t *topic) Close() error { return closeChannel(t.ch) }
