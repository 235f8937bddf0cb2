package pubsubq

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Raw is a message as a queue carries it.
type Raw struct {
	Body     []byte
	Metadata map[string]string
}

// Direct is a queue that a [Sender] or [Receiver] uses instead of a gocloud topic or subscription,
// to save the goroutines, channels and spans that gocloud's portable layer has for each message,
// and to receive as many messages at once as there is room for. Packages memqueue and sqlpubsub
// implement it.
type Direct interface {
	// SendDirect puts all messages on the named queue, in this order, or none. They can be received
	// when it has returned nil and the delay has passed. It bounds its time itself, and must not keep
	// the bodies or the metadata.
	SendDirect(ctx context.Context, queue string, delay time.Duration, msgs []Raw) error

	// SubscribeDirect begins to consume the named queue, which need not exist. Subscriptions to one
	// queue compete: a message goes to one of them.
	SubscribeDirect(queue string) (DirectSubscription, error)
}

// DirectSubscription consumes a queue. All methods may be called concurrently. One that may fail for
// a while has a method Err too, which returns why the last receive failed, or nil.
type DirectSubscription interface {
	// ReceiveDirect waits until there is a message, however often the queue fails meanwhile, and
	// returns up to max of the messages that are there. If ctx ends first it returns the error of
	// ctx. No other call returns these messages until they are nacked, their ack deadline passes,
	// or the subscription is closed.
	ReceiveDirect(ctx context.Context, max int) ([]*Delivery, error)

	// Close ends all calls of ReceiveDirect, and gives back the messages that are neither acked nor
	// nacked. A later Ack or Nack of them does nothing. Close may be called twice.
	Close() error
}

// DirectChecker is a [Direct] that can tell whether a queue can be used. Without it, it can.
type DirectChecker interface {
	// CheckDirect returns nil, or why the queue cannot be reached. It sends nothing.
	CheckDirect(ctx context.Context, queue string) error
}

// directSource pulls from such a queue.
type directSource struct {
	direct Direct
	queue  string

	mu     sync.Mutex
	sub    DirectSubscription
	closed bool
}

func (s *directSource) receive(ctx context.Context, max int) ([]*Delivery, error) {
	sub, err := s.subscription()
	if err != nil {
		return nil, err
	}
	ds, err := sub.ReceiveDirect(ctx, max)
	if err == nil || ctx.Err() != nil {
		return ds, err
	}
	// It fails only when the queue or this source was closed.
	return nil, fmt.Errorf("pubsubq: receive from queue %q: %w: %w", s.queue, ErrShutdown, err)
}

func (s *directSource) subscription() (DirectSubscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("pubsubq: receive from queue %q: %w", s.queue, ErrShutdown)
	}
	if s.sub == nil {
		sub, err := s.direct.SubscribeDirect(s.queue)
		if err != nil {
			return nil, fmt.Errorf("pubsubq: receive from queue %q: %w: %w", s.queue, ErrShutdown, err)
		}
		s.sub = sub
	}
	return s.sub, nil
}

// err is what a subscription that can fail says of its last receive. One in this process cannot.
func (s *directSource) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub, ok := s.sub.(interface{ Err() error }); ok {
		return sub.Err()
	}
	return nil
}

func (s *directSource) shutdown(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.sub == nil {
		return nil
	}
	return s.sub.Close()
}
