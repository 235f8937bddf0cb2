package nats

import (
	"fmt"
	"math"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piecework/piecework/pubsubq"
)

// origin reads what JetStream tells of a message. Its place in the stream and when it got there are its name:
// a stream that is made anew counts from the start.
func origin(as func(any) bool) pubsubq.Origin {
	var own any
	if !as(&own) {
		return pubsubq.Origin{}
	}
	m, ok := own.(jetstream.Msg)
	if !ok {
		return pubsubq.Origin{}
	}
	meta, err := m.Metadata()
	if err != nil {
		return pubsubq.Origin{}
	}
	return pubsubq.Origin{ID: fmt.Sprintf("%s@%d", loggable(m), meta.Timestamp.UnixNano()), Deliveries: int(min(meta.NumDelivered, math.MaxInt32))}
}
