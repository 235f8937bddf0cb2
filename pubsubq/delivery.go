package pubsubq

import "sync/atomic"

// Delivery is a received message. The receiver must end it by Ack or Nack.
type Delivery struct {
	Body       []byte
	Metadata   map[string]string // nil if the message has none
	LoggableID string            // the broker's name for the message, for logs only
	Origin     Origin            // see ReceiverOptions.Origin

	settle  func(ack bool)
	as      func(any) bool
	settled atomic.Bool
}

// NewDelivery returns a delivery, for implementations of [DirectSubscription] and for tests. The
// first Ack or Nack calls settle, which may be nil.
func NewDelivery(raw Raw, loggableID string, settle func(ack bool)) *Delivery {
	return &Delivery{Body: raw.Body, Metadata: raw.Metadata, LoggableID: loggableID, settle: settle}
}

// Ack removes the message from the queue. It returns at once, and acks in the background. If that
// fails, the message comes again. A second Ack or Nack does nothing.
func (d *Delivery) Ack() { d.end(true) }

// Nack makes the queue deliver the message again, at once or after the delay that the queue is
// configured with. With a driver that cannot nack, such as Kafka's, it acks and so drops the
// message: an unacked message would hold back the commits of all later ones, and sweep sends the
// hint again. A second Ack or Nack does nothing.
func (d *Delivery) Nack() { d.end(false) }

// As gives access to the driver's own message; see gocloud.dev/concepts/as. It returns false if the
// driver does not know the type.
func (d *Delivery) As(target any) bool { return d.as != nil && d.as(target) }

// Origin is a message's identity and delivery count, as its broker reports them.
type Origin struct {
	// ID is the broker's id of the message, the same for all deliveries of the message and for no
	// other message. "" if the broker has no such id.
	ID string
	// Deliveries is how often the broker has delivered the message, this time included. 0 if it
	// does not count.
	Deliveries int
}

func (d *Delivery) end(ack bool) {
	if d.settled.Swap(true) || d.settle == nil {
		return
	}
	d.settle(ack)
}
