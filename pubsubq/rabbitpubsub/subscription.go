package rabbitpubsub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"
)

const (
	// waitPush is how long a receive waits for the broker to push a message.
	waitPush = time.Second
	// waitGet is how long a receive waits before it asks for messages again.
	waitGet = 250 * time.Millisecond
)

// OpenSubscription opens a queue for receiving. Opts may be nil.
func OpenSubscription(ctx context.Context, conn *Conn, queue string, opts *Options) (*pubsub.Subscription, error) {
	o := opts.withDefaults()
	ch, err := o.channel(ctx, conn, queue)
	if err != nil {
		return nil, err
	}
	s := &subscription{
		queue: queue, prefetch: o.Prefetch, ch: ch, held: map[uint64]bool{},
		lost: ch.NotifyClose(make(chan *amqp.Error, 1)), cancelled: ch.NotifyCancel(make(chan string, 1)),
	}
	err = ch.Qos(o.Prefetch, 0, false)
	if err == nil {
		s.pushed, err = ch.Consume(queue, "", false, false, false, false, nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("consume queue %s: %w", queue, err), closeChannel(ch))
	}
	return pubsub.NewSubscription(s, &batcher.Options{MaxBatchSize: o.Prefetch, MaxHandlers: 1},
		&batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 1}), nil
}

// subscription consumes a queue on one channel. It fails for good when the channel has failed.
//
// The broker pushes up to prefetch messages, and then waits for acks. A receive beyond that gets
// messages one by one: nothing is pushed ahead of need, and held messages do not block other
// messages.
type subscription struct {
	queue    string
	prefetch int

	ch        *amqp.Channel
	pushed    <-chan amqp.Delivery
	lost      chan *amqp.Error
	cancelled chan string

	mu   sync.Mutex
	held map[uint64]bool // deliveries that are neither acked nor nacked; true if they were pushed
	out  int             // how many of them were pushed
}

var _ driver.Subscription = (*subscription)(nil)

// ReceiveBatch returns up to most of the messages that are there, or waits for the next one.
func (s *subscription) ReceiveBatch(ctx context.Context, most int) ([]*driver.Message, error) {
	if s.full() {
		got, err := s.get(most)
		if len(got) > 0 || err != nil {
			return got, err
		}
	}
	wait := waitPush
	if s.full() {
		wait = waitGet
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var ms []*driver.Message
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, nil
	case d, ok := <-s.pushed:
		if !ok {
			return nil, s.why()
		}
		ms = append(ms, s.receive(d, true))
	}
	for len(ms) < most {
		select {
		case d, ok := <-s.pushed:
			if !ok {
				return ms, nil // the next call returns the error
			}
			ms = append(ms, s.receive(d, true))
		default:
			return ms, nil
		}
	}
	return ms, nil
}

// full reports whether the broker waits for acks before it pushes another message.
func (s *subscription) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out >= s.prefetch
}

// get asks for messages.
func (s *subscription) get(most int) ([]*driver.Message, error) {
	var ms []*driver.Message
	for len(ms) < most {
		d, ok, err := s.ch.Get(s.queue, false)
		if err != nil {
			return ms, fmt.Errorf("get from queue %s: %w", s.queue, err)
		}
		if !ok {
			break
		}
		ms = append(ms, s.receive(d, false))
	}
	return ms, nil
}

// why returns the error that ended the pushes.
func (s *subscription) why() error {
	err := amqp.ErrClosed
	select {
	case e := <-s.lost:
		if e != nil {
			err = e
		}
	case <-s.cancelled:
		err = &amqp.Error{Code: amqp.NotFound, Reason: "the broker cancelled the consumer: the queue was deleted or has moved"}
	default:
	}
	return fmt.Errorf("consume queue %s: %w", s.queue, err)
}

// receive notes that a delivery is held.
func (s *subscription) receive(d amqp.Delivery, pushed bool) *driver.Message {
	s.mu.Lock()
	s.held[d.DeliveryTag] = pushed
	if pushed {
		s.out++
	}
	s.mu.Unlock()
	return message(d)
}

func message(d amqp.Delivery) *driver.Message {
	m := &driver.Message{
		LoggableID: strconv.FormatUint(d.DeliveryTag, 10), Body: d.Body, AckID: d.DeliveryTag,
		AsFunc: func(i any) bool {
			p, ok := i.(*amqp.Delivery)
			if ok {
				*p = d
			}
			return ok
		},
	}
	set := func(k, v string) {
		if m.Metadata == nil {
			m.Metadata = map[string]string{}
		}
		m.Metadata[k] = v
	}
	for k, v := range d.Headers {
		if text, ok := v.(string); ok {
			set(k, text)
		}
	}
	// In AMQP the content type is a property, where CloudEvents have the type of their data.
	// Without it, JSON is assumed.
	if d.ContentType != "" && d.ContentType != "application/json" {
		set("content-type", d.ContentType)
	}
	return m
}

// SendAcks acks deliveries. On a lost channel it does nothing: the broker delivers them again, and
// the next receive returns the error.
func (s *subscription) SendAcks(_ context.Context, ids []driver.AckID) error {
	return s.settle(ids, func(tag uint64) error { return s.ch.Ack(tag, false) })
}

// CanNack returns true.
func (*subscription) CanNack() bool { return true }

// SendNacks gives deliveries back to the queue.
func (s *subscription) SendNacks(_ context.Context, ids []driver.AckID) error {
	return s.settle(ids, func(tag uint64) error { return s.ch.Nack(tag, false, true) })
}

// settle leaves out deliveries that were settled before: the broker would close the channel.
func (s *subscription) settle(ids []driver.AckID, do func(tag uint64) error) error {
	for _, id := range ids {
		tag := id.(uint64)
		if !s.forget(tag) {
			continue
		}
		if err := do(tag); err != nil && !s.ch.IsClosed() {
			return fmt.Errorf("settle a message of queue %s: %w", s.queue, err)
		}
	}
	return nil
}

// forget notes that a delivery is no longer held, and reports whether it was.
func (s *subscription) forget(tag uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	pushed, ok := s.held[tag]
	delete(s.held, tag)
	if pushed {
		s.out--
	}
	return ok
}

// IsRetryable returns false: pubsubq opens a new subscription instead.
func (*subscription) IsRetryable(error) bool { return false }

// As gives access to the channel and the driver.
func (s *subscription) As(i any) bool {
	switch p := i.(type) {
	case **amqp.Channel:
		*p = s.ch
	case *driver.Subscription:
		*p = s
	default:
		return false
	}
	return true
}

// ErrorAs gives access to the broker's error.
func (*subscription) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies the broker's error.
func (*subscription) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close closes the channel. The broker delivers again what is neither acked nor nacked.
func (s *subscription) Close() error { return closeChannel(s.ch) }
