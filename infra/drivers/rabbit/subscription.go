package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"
)

// How long a receive waits for a message: for one that the broker pushes, and for one that must be asked for.
const (
	waitPush = time.Second
	waitGet  = 250 * time.Millisecond
)

// subscription consumes one queue, on a channel of its own for its whole life, since an ack means something on that
// channel only. When the channel is lost, so is the subscription, and pubsubq opens another.
//
// The broker pushes up to prefetch messages and then waits for acks. A worker that asks for more, because its handlers
// have what was pushed, or hold it back, gets it by asking the broker message by message: so nothing is hoarded, and a
// message that is held blocks no other.
type subscription struct {
	queue    string
	prefetch int64

	ch     *amqp.Channel
	pushed <-chan amqp.Delivery
	lost   chan *amqp.Error
	out    atomic.Int64 // pushed, and not settled
}

var _ driver.Subscription = (*subscription)(nil)

// ackID is a delivery; pushed ones count against prefetch.
type ackID struct {
	tag    uint64
	pushed bool
}

func newSubscription(ch *amqp.Channel, queue string, prefetch int) (*subscription, error) {
	s := &subscription{queue: queue, prefetch: int64(prefetch), ch: ch, lost: ch.NotifyClose(make(chan *amqp.Error, 1))}
	err := ch.Qos(prefetch, 0, false)
	if err == nil {
		s.pushed, err = ch.Consume(queue, "", false, false, false, false, nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("consume queue %s: %w", queue, err), closeChannel(ch))
	}
	return s, nil
}

// ReceiveBatch waits for a message, and returns those that are there.
func (s *subscription) ReceiveBatch(ctx context.Context, most int) ([]*driver.Message, error) {
	var ms []*driver.Message
	if s.out.Load() >= s.prefetch { // nothing will be pushed: ask
		got, err := s.get(most)
		if len(got) > 0 || err != nil {
			return got, err
		}
	}
	wait := waitPush
	if s.out.Load() >= s.prefetch {
		wait = waitGet
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, nil
	case d, ok := <-s.pushed:
		if !ok {
			return nil, s.why()
		}
		ms = append(ms, s.message(d, true))
	}
	for len(ms) < most {
		select {
		case d, ok := <-s.pushed:
			if !ok {
				return ms, nil // the next call tells why
			}
			ms = append(ms, s.message(d, true))
		default:
			return ms, nil
		}
	}
	return ms, nil
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
		ms = append(ms, s.message(d, false))
	}
	return ms, nil
}

// why tells why the channel was lost.
func (s *subscription) why() error {
	select {
	case e := <-s.lost:
		if e != nil {
			return fmt.Errorf("consume queue %s: %w", s.queue, e)
		}
	default:
	}
	return fmt.Errorf("consume queue %s: the broker ended it, or the connection was lost: %w", s.queue, amqp.ErrClosed)
}

func (s *subscription) message(d amqp.Delivery, pushed bool) *driver.Message {
	if pushed {
		s.out.Add(1)
	}
	m := &driver.Message{
		LoggableID: strconv.FormatUint(d.DeliveryTag, 10), Body: d.Body, AckID: ackID{d.DeliveryTag, pushed},
		AsFunc: func(i any) bool {
			p, ok := i.(*amqp.Delivery)
			if ok {
				*p = d
			}
			return ok
		},
	}
	for k, v := range d.Headers {
		if text, ok := v.(string); ok {
			if m.Metadata == nil {
				m.Metadata = map[string]string{}
			}
			m.Metadata[k] = text
		}
	}
	// A property in AMQP, where CloudEvents have the type of their data. JSON is what is assumed without it.
	if d.ContentType != "" && d.ContentType != "application/json" {
		if m.Metadata == nil {
			m.Metadata = map[string]string{}
		}
		m.Metadata["content-type"] = d.ContentType
	}
	return m
}

// SendAcks acks deliveries. On a lost channel it does nothing: the broker delivers them again, and the next receive
// tells of the loss.
func (s *subscription) SendAcks(_ context.Context, ids []driver.AckID) error {
	return s.settle(ids, func(tag uint64) error { return s.ch.Ack(tag, false) })
}

// CanNack is true.
func (*subscription) CanNack() bool { return true }

// SendNacks gives deliveries back to the queue.
func (s *subscription) SendNacks(_ context.Context, ids []driver.AckID) error {
	return s.settle(ids, func(tag uint64) error { return s.ch.Nack(tag, false, true) })
}

func (s *subscription) settle(ids []driver.AckID, do func(tag uint64) error) error {
	for _, id := range ids {
		a := id.(ackID)
		if a.pushed {
			s.out.Add(-1)
		}
		if err := do(a.tag); err != nil && !s.ch.IsClosed() {
			return fmt.Errorf("settle a message of queue %s: %w", s.queue, err)
		}
	}
	return nil
}

// IsRetryable is false: pubsubq opens a new subscription instead.
func (*subscription) IsRetryable(error) bool { return false }

// As gives access to the channel.
func (s *subscription) As(i any) bool { return asChannel(s.ch, i) }

// ErrorAs gives access to the broker's error.
func (*subscription) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies the broker's error.
func (*subscription) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close closes the channel; the broker delivers again what is not acked.
func (s *subscription) Close() error { return closeChannel(s.ch) }
