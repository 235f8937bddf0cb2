package pubsubq

import (
	"context"
	"fmt"
	"sync"

	"gocloud.dev/pubsub"
)

// OpenSubscription opens the subscription that a [Receiver] pulls from. See the package comment on its options.
type OpenSubscription func(ctx context.Context) (*pubsub.Subscription, error)

// ReceiverOptions are the options of a [Receiver]. The zero value is fine.
type ReceiverOptions struct {
	// OnError is told of every failure: a subscription that could not be opened, or that died and will be opened
	// again. Optional. It must not block.
	OnError func(err error)

	// Origin reads from a driver's own message what its broker tells about it; as is the message's As. Optional.
	Origin func(as func(any) bool) Origin

	// Direct, if not nil, is used instead of a subscription, to consume Queue.
	Direct Direct

	// Queue is the name of the queue to consume with Direct. With a subscription it is for error texts only.
	Queue string
}

// Receiver pulls from one subscription, and opens it again when it dies. It has no goroutine and no buffer of its own:
// messages are taken from the queue only inside Receive, for the slots that its caller says are free. (What gocloud
// fetches ahead is bounded by how the subscription is opened; see the package comment.) All methods may be called
// concurrently.
type Receiver struct {
	source source
}

// source is what a Receiver pulls from: a gocloud subscription or a queue in this process.
type source interface {
	receive(ctx context.Context, max int) ([]*Delivery, error)
	shutdown(ctx context.Context) error
}

// NewReceiver returns a Receiver that opens its subscription with open, on first use; open may be nil if opts.Direct
// is set.
func NewReceiver(open func(ctx context.Context) (*pubsub.Subscription, error), opts *ReceiverOptions) *Receiver {
	var o ReceiverOptions
	if opts != nil {
		o = *opts
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	if o.Direct != nil {
		return &Receiver{source: &directSource{direct: o.Direct, queue: o.Queue}}
	}
	return &Receiver{source: newSupervisor(open, o)}
}

// Receive waits until there is at least one message, and returns at once with up to max of those that are already
// there. It returns an error only if ctx ends, which is then the error of ctx, or after Shutdown, [ErrShutdown];
// failures of the broker are waited out, and told to ReceiverOptions.OnError.
//
// Every delivery must be ended by Ack or Nack. If the process dies before, the broker delivers it again, if it can.
func (r *Receiver) Receive(ctx context.Context, max int) ([]*Delivery, error) {
	if max < 1 {
		return nil, fmt.Errorf("pubsubq: receive up to %d messages: want 1 or more", max)
	}
	return r.source.receive(ctx, max)
}

// Shutdown ends the Receiver, and with it all calls of Receive. Call it after the deliveries have been acked: it flushes
// their acks, gives back with a Nack what gocloud has fetched ahead, and closes the subscription. An Ack that comes
// later is lost. Give it a ctx with a deadline, because acks are retried for as long as it takes; without a
// deadline it takes a minute at the most.
func (r *Receiver) Shutdown(ctx context.Context) error {
	if err := r.source.shutdown(ctx); err != nil {
		return fmt.Errorf("pubsubq: shut down receiver: %w", err)
	}
	return nil
}

// directSource pulls from a queue in this process.
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
	// A queue in this process fails only when it, or we, have been closed.
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

func (s *directSource) shutdown(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.sub == nil {
		return nil
	}
	return s.sub.Close()
}
