package pubsubq

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gocloud.dev/pubsub"
)

// supervisor keeps a gocloud subscription open. The first non-retryable error, of a receive or of a
// background ack, ends a subscription for good, and drivers do not redial. So the supervisor
// replaces it. The old subscription stays open until its deliveries are acked.
type supervisor struct {
	open OpenSubscription
	opts ReceiverOptions
	gate chan struct{}   // holds one token unless the subscription is being opened
	life context.Context // ends with shutdown
	stop context.CancelFunc

	mu     sync.Mutex
	sub    *openSub // nil: to be opened
	pause  pause
	closed bool
	ending sync.WaitGroup // subscriptions being shut down in the background
}

// openSub is a subscription with the number of its users, which are calls of Receive and unsettled
// deliveries.
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

// acquire returns the subscription, with the caller as a user. If it must, it opens the
// subscription, after the pause that follows a failure, until that succeeds or ctx ends.
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
		go func() { // a driver may dial on after its caller has left: the next caller gets the subscription
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

// reopen opens the subscription, or notes the failure.
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

// release ends one use. A dead subscription is shut down after its last use, when gocloud has all
// acks.
func (s *supervisor) release(sub *openSub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.users--
	if sub.dead && sub.users == 0 {
		s.end(sub)
	}
}

// failed drops a subscription that died, and begins a pause. Sub is nil if the opening failed.
func (s *supervisor) failed(sub *openSub, err error) {
	s.mu.Lock()
	if sub != nil && sub.dead { // another call of Receive has reported it
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

// deliver wraps messages. Each of them is a user of the subscription, and the caller no longer is.
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

// settle acks or nacks a message. With a driver that cannot nack, a nack is an ack.
func settle(m *pubsub.Message, ack bool) {
	if ack || !m.Nackable() {
		m.Ack()
	} else {
		m.Nack()
	}
}

// end shuts a dead subscription down in the background, because its Shutdown flushes acks that may
// never succeed.
func (s *supervisor) end(sub *openSub) {
	shut := func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
		defer cancel()
		_ = Within(ctx, func() error { return sub.sub.Shutdown(ctx) }) // OnError has had the error that it died of
	}
	if s.closed {
		go shut() // shutdown does not wait for it
		return
	}
	s.ending.Go(shut)
}

func (s *supervisor) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sub != nil || s.pause.err == nil {
		return nil
	}
	return s.wrap(s.pause.err)
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
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // an earlier deadline of the caller remains
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
