package pubsubq

import (
	"context"
	"fmt"

	"gocloud.dev/pubsub"
)

// OpenSubscription opens the subscription that a [Receiver] pulls from. See the package comment on
// its options.
type OpenSubscription func(ctx context.Context) (*pubsub.Subscription, error)

// ReceiverOptions are the options of a [Receiver]. The zero value is fine.
type ReceiverOptions struct {
	// OnError is called with each failure to open the subscription, and with the error that ended
	// one. Optional. It must not block.
	OnError func(err error)

	// Origin reads a message's identity and delivery count from the driver's own message; as is its
	// As. Optional.
	Origin func(as func(any) bool) Origin

	// Direct, if not nil, is consumed instead of a subscription.
	Direct Direct

	// Queue is the name of the queue. With a subscription it is used in error texts only.
	Queue string
}

// Receiver pulls from one subscription, and opens it again when it dies. It has no goroutine and no
// buffer: it takes messages only inside Receive, as many as its caller asks for. What gocloud
// fetches ahead depends on how the subscription is opened; see the package comment. All methods may
// be called concurrently.
type Receiver struct {
	source source
}

// source is a gocloud subscription or a queue in this process.
type source interface {
	err() error
	receive(ctx context.Context, max int) ([]*Delivery, error)
	shutdown(ctx context.Context) error
}

// NewReceiver returns a Receiver that opens its subscription with open, on first use. Open may be
// nil if opts.Direct is set, and opts may be nil.
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

// Receive waits until there is a message, and returns up to max of the messages that are there. It
// returns an error only when ctx ends, the error of ctx, or after Shutdown, [ErrShutdown]. It waits
// until failures of the broker are over, and reports them to ReceiverOptions.OnError.
//
// The caller must end each delivery by Ack or Nack. If the process dies before, the broker delivers
// it again, if it can.
func (r *Receiver) Receive(ctx context.Context, max int) ([]*Delivery, error) {
	if max < 1 {
		return nil, fmt.Errorf("pubsubq: receive up to %d messages: want 1 or more", max)
	}
	return r.source.receive(ctx, max)
}

// Err returns the failure because of which the queue is being opened again, or nil.
func (r *Receiver) Err() error { return r.source.err() }

// Shutdown ends the Receiver and all calls of Receive. Call it after the deliveries have been
// acked: it flushes their acks, nacks the messages that gocloud has fetched ahead, and closes the
// subscription. A later Ack is lost. Give it a ctx with a deadline, because acks are retried until
// they succeed. Without a deadline it takes at most a minute.
func (r *Receiver) Shutdown(ctx context.Context) error {
	if err := r.source.shutdown(ctx); err != nil {
		return fmt.Errorf("pubsubq: shut down receiver: %w", err)
	}
	return nil
}
