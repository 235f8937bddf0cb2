package pubsubq

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gocloud.dev/pubsub"
)

// supervisor keeps a gocloud subscription alive. One non-retryable error, of a receive or of a background ack, kills a
// subscription for good, and drivers do not redial: so it is replaced. The old one stays open until the deliveries that
// came from it are acked.
type supervisor struct {
	open OpenSubscription
	opts ReceiverOptions
	gate chan struct{}   // holds one token while nobody opens
	life context.Context // ends with shutdown
	stop context.CancelFunc

	mu     sync.Mutex
	sub    *openSub // nil: to be opened
	pause  pause
	closed bool
	ending sync.WaitGroup // subscriptions being shut down in the background
}

// openSub is a subscription with the number of its users: calls of Receive and deliveries that are not ended.
type openSub struct {
	sub   *pubsub.Subscription
	users int
	dead  bool
}

func newSupervisor(open OpenSubscription, opts ReceiverOptions) *supervisor {
	s := &supervisor{open: open, opts: opts, gate: make(chan struct{}, 1)}
	s.life, s.stop = context.WithCancel(context.Background())
	s.gate <- struct{}{}
	return s
}

func (s *supervisor) receive(ctx context.Context, max int) ([]*Delivery, error) {
	inner, stop := s.untilShutdown(ctx)
	defer stop()
	for {
		sub, err := s.acquire(inner)
		if err == nil {
			var msgs []*pubsub.Message
			msgs, err = receiveSome(inner, sub.sub, max)
			if err == nil {
				return s.deliver(sub, msgs), nil
			}
			s.release(sub)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if s.isClosed() {
			return nil, s.wrap(ErrShutdown)
		}
		s.failed(sub, err)
	}
}

// untilShutdown returns a context that also ends when the supervisor is shut down.
func (s *supervisor) untilShutdown(ctx context.Context) (context.Context, func()) {
	inner, cancel := context.WithCancel(ctx)
	forget := context.AfterFunc(s.life, cancel)
	return inner, func() { forget(); cancel() }
}

// acquire returns the subscription, opened if need be, after the pause that an earlier failure asks for. It counts
// the caller as a user. It goes on until there is one, or until ctx ends.
func (s *supervisor) acquire(ctx context.Context) (*openSub, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.gate:
		}
		s.mu.Lock()
		sub, wait := s.sub, s.pause.left()
		if sub != nil {
			sub.users++
		}
		s.mu.Unlock()
		if sub != nil {
			s.gate <- struct{}{}
			return sub, nil
		}
		if err := sleep(ctx, wait); err != nil {
			s.gate <- struct{}{}
			return nil, err
		}
		done := make(chan struct{})
		go func() { // drivers dial on when their caller has left: then this is for the next one
			s.reopen(context.WithoutCancel(ctx))
			s.gate <- struct{}{}
			close(done)
		}()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-done:
		}
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// reopen opens the subscription, or notes that it could not.
func (s *supervisor) reopen(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	forget := context.AfterFunc(s.life, cancel)
	defer forget()
	opened, err := s.open(ctx)
	if err != nil {
		if s.life.Err() == nil {
			s.failed(nil, fmt.Errorf("open subscription: %w", err))
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.end(&openSub{sub: opened})
		return
	}
	s.sub = &openSub{sub: opened}
}

// release ends one use. The last user of a dead subscription lets it be shut down, when all acks have been handed over.
func (s *supervisor) release(sub *openSub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.users--
	if sub.dead && sub.users == 0 {
		s.end(sub)
	}
}

// failed replaces a subscription that died, or notes that none could be opened (sub is nil), and begins a pause.
func (s *supervisor) failed(sub *openSub, err error) {
	s.mu.Lock()
	if sub != nil && sub.dead { // another call of Receive has seen it first
		s.mu.Unlock()
		return
	}
	if sub != nil {
		sub.dead = true
		s.sub = nil
		if sub.users == 0 {
			s.end(sub)
		}
		err = fmt.Errorf("subscription died: %w", err)
	}
	s.pause.failed(err)
	s.mu.Unlock()
	s.opts.OnError(s.wrap(err))
}

// deliver wraps messages, each of which is now a user of the subscription in place of the caller.
func (s *supervisor) deliver(sub *openSub, msgs []*pubsub.Message) []*Delivery {
	s.mu.Lock()
	sub.users += len(msgs) - 1
	s.pause = pause{}
	s.mu.Unlock()
	ds := make([]*Delivery, len(msgs))
	for i, m := range msgs {
		ds[i] = NewDelivery(Raw{m.Body, m.Metadata}, m.LoggableID, func(ack bool) {
			settle(m, ack)
			s.release(sub)
		})
		ds[i].as = m.As
		if s.opts.Origin != nil {
			ds[i].Origin = s.opts.Origin(m.As)
		}
	}
	return ds
}

// settle ends a message: with a driver that cannot nack, a nack is an ack.
func settle(m *pubsub.Message, ack bool) {
	if ack || !m.Nackable() {
		m.Ack()
	} else {
		m.Nack()
	}
}

// end shuts a dead subscription down in the background: its Shutdown flushes acks that may never succeed.
func (s *supervisor) end(sub *openSub) {
	shut := func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
		defer cancel()
		_ = Within(ctx, func() error { return sub.sub.Shutdown(ctx) }) // its error is the one that it died of, which OnError has had
	}
	if s.closed {
		go shut() // nobody waits any more
		return
	}
	s.ending.Go(shut)
}

func (s *supervisor) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *supervisor) wrap(err error) error {
	if s.opts.Queue != "" {
		return fmt.Errorf("pubsubq: receive from queue %q: %w", s.opts.Queue, err)
	}
	return fmt.Errorf("pubsubq: receive: %w", err)
}

func (s *supervisor) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // an earlier deadline of the caller stays
	defer cancel()
	s.mu.Lock()
	s.closed = true
	sub := s.sub
	s.sub = nil
	s.mu.Unlock()
	s.stop()
	return Within(ctx, func() error {
		var err error
		if sub != nil {
			err = closeGivingBack(ctx, sub.sub)
		}
		s.ending.Wait()
		return err
	})
}
