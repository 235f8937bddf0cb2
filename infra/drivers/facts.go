package drivers

import (
	"context"
	"time"
)

// QueueFacts are the settings of a queue that double work or lose messages without a trace if they
// are wrong, for the doctor. The drivers of SQS and Pub/Sub read them.
type QueueFacts struct {
	// Hidden is how long a received message is hidden from other receivers. HiddenName is the
	// service's word for that, and HiddenRemedy says how to change it, up to a " to DURATION" that
	// the caller adds.
	Hidden       time.Duration
	HiddenName   string
	HiddenRemedy string
	// Pulled says that only workers receive here, which extend the time while they hold a message.
	Pulled bool
	// Factor is by how many times the time should exceed the timeout of a function that the queue
	// calls, as the service advises. Most is the longest that the service allows.
	Factor int
	Most   time.Duration

	// DeadLetterQueue is where messages are set aside that were delivered Deliveries times; "":
	// nowhere. DeadRemedy says how to change that. The service advises at least LeastDeliveries.
	DeadLetterQueue             string
	DeadRemedy                  string
	Deliveries, LeastDeliveries int
}

// Inspector is a Queue that may know its facts. The result of [NewQueue] is one.
type Inspector interface {
	// Inspect reads the facts of a queue. It returns nil if the driver knows none.
	Inspect(ctx context.Context, queue string) (*QueueFacts, error)
}

// Inspect implements [Inspector].
func (q *queue) Inspect(ctx context.Context, queue string) (*QueueFacts, error) {
	if q.broker.Inspect == nil {
		return nil, nil
	}
	return q.broker.Inspect(ctx, queue)
}

// AddDenial registers a function that says what must be granted to whom if one of its services
// refused an error's request for lack of rights. For other errors it returns "".
func (s *Set) AddDenial(remedy func(err error) string) { s.denials = append(s.denials, remedy) }

// Denied returns what must be granted, if an error comes from lack of rights and a driver knows
// which, else "".
func (s *Set) Denied(err error) string {
	for _, remedy := range s.denials {
		if text := remedy(err); text != "" {
			return text
		}
	}
	return ""
}
