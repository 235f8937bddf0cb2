package pubsubq

import (
	"context"
	"time"
)

// Raw is a message in the form in which a queue carries it.
type Raw struct {
	Body     []byte
	Metadata map[string]string
}

// Direct is a queue within this process. A [Sender] or [Receiver] that is given one uses it instead of a gocloud topic
// or subscription, and so saves the cost of gocloud's portable layer: several goroutines, channels and spans a
// message. Package memqueue has the one implementation; for everything that crosses a network the portable layer
// costs nothing that matters.
type Direct interface {
	// SendDirect puts all the messages on the named queue, in this order, or none. They can be received as soon as
	// it returns nil, or after the delay. It does not block, and does not keep the bodies or the metadata.
	SendDirect(ctx context.Context, queue string, delay time.Duration, msgs []Raw) error

	// SubscribeDirect begins to consume the named queue, which need not exist. Several subscriptions to one queue
	// compete: a message goes to one of them.
	SubscribeDirect(queue string) (DirectSubscription, error)
}

// DirectSubscription consumes a queue within this process. All methods may be called concurrently.
type DirectSubscription interface {
	// ReceiveDirect waits until there is a message, and then returns up to max of those that are there. If ctx
	// ends first it returns the error of ctx. Messages that it returns are not received by anyone else until they
	// are nacked, their ack deadline passes, or the subscription is closed.
	ReceiveDirect(ctx context.Context, max int) ([]*Delivery, error)

	// Close ends all calls of ReceiveDirect and gives back all messages that are neither acked nor nacked. A later
	// Ack or Nack of these does nothing. Close may be called twice.
	Close() error
}
