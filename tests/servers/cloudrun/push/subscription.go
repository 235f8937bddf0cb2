package push

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Message is one of a topic's.
type Message struct {
	ID         string
	Data       []byte
	Attributes map[string]string
	Published  time.Time
}

// Config is a push subscription's.
type Config struct {
	Name      string                           // projects/P/subscriptions/S
	Endpoint  func(ctx context.Context) string // of the next request
	Token     func() (string, error)           // for the next request
	Client    *http.Client                     // sends requests
	Unwrapped bool                             // with --push-no-wrapper-write-metadata
	Answered  func(status int, err error)      // is told of each answer; may be nil
	Rand      func() uint64                    // is safe for concurrent use

	AckDeadline time.Duration
	MinBackoff  time.Duration
	MaxBackoff  time.Duration
	MaxAttempts int     // after which a message is a dead letter; 0: never
	Outstanding int     // requests under way at once
	Duplicates  float64 // the part of the messages that come twice though they were acknowledged
}

// Figures are what a subscription did.
type Figures struct {
	Messages, Requests, Acks, Nacks, Late, Broken, Duplicates, Busy atomic.Int64
}

// Subscription delivers messages.
type Subscription struct {
	cfg     Config
	slots   chan struct{}
	under   sync.WaitGroup
	Figures Figures

	mu   sync.Mutex
	dead []Message
}

// New returns a subscription.
func New(cfg Config) *Subscription {
	return &Subscription{cfg: cfg, slots: make(chan struct{}, cfg.Outstanding)}
}

// Publish delivers a message until it is acknowledged, dead, or ctx ends. It does not wait for that.
func (s *Subscription) Publish(ctx context.Context, m Message) {
	s.Figures.Messages.Add(1)
	copies := 1
	if s.chance(s.cfg.Duplicates) {
		copies = 2
		s.Figures.Duplicates.Add(1)
	}
	for n := range copies {
		s.under.Go(func() {
			if n > 0 && s.chance(0.5) { // else both are delivered at the same time
				s.pause(ctx, time.Duration(s.cfg.Rand()%uint64(3*time.Second)))
			}
			s.deliver(ctx, m, n == 0)
		})
	}
}

// Wait waits until nothing is delivered any more.
func (s *Subscription) Wait() { s.under.Wait() }

// Dead returns the dead letters.
func (s *Subscription) Dead() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// deliver posts a message until that is acknowledged. A duplicate is no dead letter: the original may be acknowledged.
func (s *Subscription) deliver(ctx context.Context, m Message, original bool) {
	backoff := s.cfg.MinBackoff
	for attempt := 1; ; attempt++ {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		acked := s.post(ctx, m, attempt)
		<-s.slots
		switch {
		case acked || ctx.Err() != nil:
			return
		case s.cfg.MaxAttempts > 0 && attempt >= s.cfg.MaxAttempts:
			if original {
				s.mu.Lock()
				s.dead = append(s.dead, m)
				s.mu.Unlock()
			}
			return
		}
		s.pause(ctx, backoff/2+time.Duration(s.cfg.Rand()%uint64(backoff)))
		backoff = min(2*backoff, s.cfg.MaxBackoff)
	}
}

// chance is true in a part of all cases.
func (s *Subscription) chance(part float64) bool {
	return float64(s.cfg.Rand()>>11)/(1<<53) < part
}

// pause waits for real time to pass.
func (*Subscription) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
