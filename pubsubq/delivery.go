package pubsubq

import "sync/atomic"

// Delivery is one message as received, to be ended by Ack or by Nack.
type Delivery struct {
	Body       []byte
	Metadata   map[string]string // nil if there is none
	LoggableID string            // the broker's name for the message, for logs only
	Origin     Origin            // what the broker tells of the message; see ReceiverOptions.Origin

	settle  func(ack bool)
	as      func(any) bool
	settled atomic.Bool
}

// NewDelivery is for implementations of [DirectSubscription] and for tests. Settle is called at most once, by the
// first Ack or Nack; it may be nil.
func NewDelivery(raw Raw, loggableID string, settle func(ack bool)) *Delivery {
	return &Delivery{Body: raw.Body, Metadata: raw.Metadata, LoggableID: loggableID, settle: settle}
}

// Ack tells the queue that the message need not come again. It returns at once: the broker is told in the
// background, and if that fails the message comes again. A second Ack or Nack does nothing.
func (d *Delivery) Ack() { d.end(true) }

// Nack tells the queue to deliver the message again, at once or after the delay that the queue is configured with.
// With a driver that cannot (NATS, Kafka) the message is acked, and so dropped: an unacked message would hold back the
// commits of all later ones on Kafka, and sweep sends the hint again anyway. A second Ack or Nack does nothing.
func (d *Delivery) Nack() { d.end(false) }

// As gives access to the driver's own message, to extend an ack deadline say; see gocloud.dev/concepts/as. It returns
// false if there is no such type.
func (d *Delivery) As(target any) bool { return d.as != nil && d.as(target) }

// Origin is what a broker tells about a message beside what is in it.
type Origin struct {
	// ID is the broker's name for the message, where that stays the same when it delivers the message again and never
	// comes back for another; "" if there is none.
	ID string
	// Deliveries is how often the broker has delivered the message, this time included; 0 if it does not tell.
	Deliveries int
}

func (d *Delivery) end(ack bool) {
	if d.settled.Swap(true) || d.settle == nil {
		return
	}
	d.settle(ack)
}
