package sqlpubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/pubsubq"
)

// ErrClosed says that the queues or the subscription have been closed.
var ErrClosed = errors.New("sqlpubsub: closed")

const (
	// lookEvery is how long a receiver waits before it looks although nothing has woken it.
	lookEvery = 30 * time.Second
	// firstAgain is how long it waits for a message that another receiver has locked, and lastAgain
	// how long after some vain looks.
	firstAgain, lastAgain = time.Millisecond, 100 * time.Millisecond
)

// Subscription returns a subscription of a queue. The subscriptions of a queue compete for its
// messages.
func (q *Queues) Subscription(queue string) *pubsub.Subscription {
	return pubsub.NewSubscription(q.subscribe(queue), nil, nil)
}

// SubscribeDirect implements [pubsubq.Direct].
func (q *Queues) SubscribeDirect(queue string) (pubsubq.DirectSubscription, error) {
	if q.life.Err() != nil {
		return nil, ErrClosed
	}
	return q.subscribe(queue), nil
}

func (q *Queues) subscribe(queue string) *subscription {
	q.watch()
	s := &subscription{queues: q, queue: queue}
	s.life, s.stop = context.WithCancel(q.life)
	return s
}

// subscription is one consumer of a queue.
type subscription struct {
	queues *Queues
	queue  string
	life   context.Context
	stop   context.CancelFunc
	busy   sync.WaitGroup // calls that are receiving

	mu      sync.Mutex
	closed  bool
	failure error // of the last look
}

// enter begins a call that Close waits for. It returns false after Close.
func (s *subscription) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.busy.Add(1)
	}
	return !s.closed
}

// receive waits for messages and returns up to most.
func (s *subscription) receive(ctx context.Context, most int) ([]row, error) {
	q, t := s.queues, s.queues.tableOf(s.queue)
	for again := firstAgain; ; again = min(2*again, lastAgain) {
		if err := s.over(ctx); err != nil {
			return nil, err
		}
		woken := q.bells.listen(s.queue)
		rows, wait, err := s.look(t, most)
		if err == nil {
			s.note(nil)
		}
		if err != nil || len(rows) > 0 {
			return rows, err
		}
		if wait > 0 {
			again = firstAgain
		}
		if err := s.sleep(ctx, max(wait, again), woken); err != nil {
			return nil, err
		}
	}
}

// note keeps the outcome of the last look for Err.
func (s *subscription) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

// Err returns why the queue could not be received from when
// that was last tried, or nil.
func (s *subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// look returns messages that are due, or else how long to wait for the first, which is 0 or less if
// another receiver has it at this moment. The caller's context does not end it: a message that was
// taken must not be lost.
func (s *subscription) look(t *table, most int) ([]row, time.Duration, error) {
	if !s.enter() {
		return nil, 0, ErrClosed
	}
	defer s.busy.Done()
	ctx, cancel := context.WithTimeout(context.Background(), s.queues.opts.Timeout)
	defer cancel()
	rows, wait, err := s.queues.db.take(ctx, t, s.queue, most)
	if err != nil {
		return nil, 0, fmt.Errorf("receive from %s: %w", s.queue, err)
	}
	return inOrder(rows), min(wait, lookEvery), nil
}

// over returns why a receiver must end, or nil.
func (s *subscription) over(ctx context.Context) error {
	if s.life.Err() != nil {
		return ErrClosed
	}
	return ctx.Err()
}

// sleep waits for d, or until woken, if not nil, is closed.
func (s *subscription) sleep(ctx context.Context, d time.Duration, woken <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.life.Done():
		return ErrClosed
	case <-timer.C:
	case <-woken:
	}
	return nil
}

// ReceiveDirect implements [pubsubq.DirectSubscription]. It tries again after an error of the
// database, which it reports to Options.OnError.
func (s *subscription) ReceiveDirect(ctx context.Context, most int) ([]*pubsubq.Delivery, error) {
	pause := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(5*time.Second),
		backoff.WithMaxElapsedTime(0))
	for {
		rows, err := s.receive(ctx, most)
		switch {
		case err == nil:
			return s.deliveries(rows), nil
		case s.over(ctx) != nil:
			return nil, s.over(ctx)
		}
		s.note(err)
		s.queues.opts.OnError(err)
		if err := s.sleep(ctx, pause.NextBackOff(), nil); err != nil {
			return nil, err
		}
	}
}

func (s *subscription) deliveries(rows []row) []*pubsubq.Delivery {
	ds := make([]*pubsubq.Delivery, 0, len(rows))
	for _, r := range rows {
		in := r.incoming()
		d := pubsubq.NewDelivery(s.raw(r), in.ID, func(ack bool) { s.end(r, ack) })
		d.Origin = pubsubq.Origin(in)
		ds = append(ds, d)
	}
	return ds
}

// raw returns a message, without metadata that cannot be read, which this package has not written.
func (s *subscription) raw(r row) pubsubq.Raw {
	raw, err := r.raw()
	if err != nil {
		s.queues.opts.OnError(fmt.Errorf("message %d of %s: metadata are left out: %w", r.id, s.queue, err))
		raw.Metadata = nil
	}
	return raw
}

// end settles a delivery in the background.
func (s *subscription) end(r row, ack bool) {
	if ack && s.queues.tableOf(s.queue).transient {
		return
	}
	s.queues.out.verdicts.AddNoWait(&verdict{s.queue, r, ack})
}

// Close implements [pubsubq.DirectSubscription] and gocloud's driver.
func (s *subscription) Close() error {
	s.mu.Lock()
	s.closed = true
	s.stop()
	s.mu.Unlock()
	s.busy.Wait()
	return nil
}

// ReceiveBatch waits until there is a message, or gocloud's Shutdown cancels ctx.
func (s *subscription) ReceiveBatch(ctx context.Context, most int) ([]*driver.Message, error) {
	rows, err := s.receive(ctx, most)
	if err != nil {
		return nil, err
	}
	ms := make([]*driver.Message, len(rows))
	for i, r := range rows {
		ms[i] = r.message(s.raw(r))
	}
	return ms, nil
}

// SendAcks implements driver.Subscription.
func (s *subscription) SendAcks(ctx context.Context, ids []driver.AckID) error {
	return s.queues.ack(ctx, s.queue, rowsOf(ids))
}

// SendNacks implements driver.Subscription.
func (s *subscription) SendNacks(ctx context.Context, ids []driver.AckID) error {
	return s.queues.nack(ctx, s.queue, rowsOf(ids))
}

func rowsOf(ids []driver.AckID) []row {
	rows := make([]row, len(ids))
	for i, id := range ids {
		rows[i] = id.(row)
	}
	return rows
}

func (*subscription) CanNack() bool                          { return true }
func (*subscription) IsRetryable(error) bool                 { return false }
func (*subscription) ErrorAs(err error, i any) bool          { return errorAs(err, i) }
func (*subscription) ErrorCode(err error) gcerrors.ErrorCode { return codeOf(err) }

// As gives access to the driver.
func (s *subscription) As(i any) bool {
	p, ok := i.(*driver.Subscription)
	if ok {
		*p = s
	}
	return ok
}

var _ driver.Subscription = (*subscription)(nil)
var _ driver.Topic = (*topic)(nil)
var _ pubsubq.Direct = (*Queues)(nil)
