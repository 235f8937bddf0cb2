package memqueue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"
)

// MaxDelay is the longest delay. There is no limit.
const MaxDelay = time.Duration(1<<63 - 1)

// Outgoing is a message for BeforeSend, whose function gives a *Outgoing.
type Outgoing struct {
	// Delay keeps the message back.
	Delay time.Duration
}

// DelayHook delays a message. Call it in pubsub.Message.BeforeSend, with the function that the hook
// gets.
func DelayHook(as func(any) bool, d time.Duration) error {
	var out *Outgoing
	if !as(&out) {
		return fmt.Errorf("delay %v: this is not a message of memqueue", d)
	}
	out.Delay = d
	return nil
}

type topic struct {
	queue *Queue
	name  string
}

func (t *topic) SendBatch(ctx context.Context, ms []*driver.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	items := make([]*item, len(ms))
	for i, m := range ms {
		out := &Outgoing{}
		as := func(target any) bool {
			p, ok := target.(**Outgoing)
			if ok {
				*p = out
			}
			return ok
		}
		if m.BeforeSend != nil {
			if err := m.BeforeSend(as); err != nil {
				return fmt.Errorf("before send: %w", err)
			}
		}
		items[i] = newItem(m.Body, m.Metadata, out.Delay)
	}
	if err := t.queue.send(t.name, items); err != nil {
		return err
	}
	for _, m := range ms {
		if m.AfterSend != nil {
			if err := m.AfterSend(none); err != nil {
				return fmt.Errorf("after send: %w", err)
			}
		}
	}
	return nil
}

func (*topic) IsRetryable(error) bool                 { return false }
func (*topic) ErrorAs(error, any) bool                { return false }
func (*topic) ErrorCode(err error) gcerrors.ErrorCode { return codeOf(err) }
func (*topic) Close() error                           { return nil }

// As gives access to the driver.
func (t *topic) As(i any) bool {
	p, ok := i.(*driver.Topic)
	if ok {
		*p = t
	}
	return ok
}

// driverSub implements gocloud's driver.Subscription.
type driverSub struct{ *subscription }

// ReceiveBatch waits until there is a message or gocloud's Shutdown cancels ctx. Other drivers
// return without a message after a second. This one does not, so that an idle queue does nothing at
// all.
func (s *driverSub) ReceiveBatch(ctx context.Context, max int) ([]*driver.Message, error) {
	received, err := s.receive(ctx, max)
	if err != nil {
		return nil, err
	}
	ms := make([]*driver.Message, len(received))
	for i, t := range received {
		ms[i] = &driver.Message{
			LoggableID: t.it.loggableID(),
			Body:       []byte(t.it.body),
			Metadata:   maps.Clone(t.it.metadata),
			AckID:      t,
			AsFunc:     none,
		}
	}
	return ms, nil
}

func (s *driverSub) SendAcks(_ context.Context, ids []driver.AckID) error {
	s.settle(true, tickets(ids)...)
	return nil
}

func (s *driverSub) SendNacks(_ context.Context, ids []driver.AckID) error {
	s.settle(false, tickets(ids)...)
	return nil
}

func (*driverSub) CanNack() bool                          { return true }
func (*driverSub) IsRetryable(error) bool                 { return false }
func (*driverSub) ErrorAs(error, any) bool                { return false }
func (*driverSub) ErrorCode(err error) gcerrors.ErrorCode { return codeOf(err) }

// As gives access to the driver.
func (s *driverSub) As(i any) bool {
	p, ok := i.(*driver.Subscription)
	if ok {
		*p = s
	}
	return ok
}

func tickets(ids []driver.AckID) []ticket {
	ts := make([]ticket, 0, len(ids))
	for _, id := range ids {
		if t, ok := id.(ticket); ok {
			ts = append(ts, t)
		}
	}
	return ts
}

func none(any) bool { return false }

func codeOf(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, ErrClosed):
		return gcerrors.FailedPrecondition
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	}
	return gcerrors.Unknown
}
