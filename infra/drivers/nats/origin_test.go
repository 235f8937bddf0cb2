package nats

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piecework/piecework/pubsubq"
)

// told is a message of JetStream, of which only its metadata are asked.
type told struct{ jetstream.Msg }

func (told) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{
		Stream: "jobs", Sequence: jetstream.SequencePair{Stream: 7, Consumer: 9}, NumDelivered: 3, Timestamp: time.Unix(0, 5),
	}, nil
}

func TestOriginOfAMessage(t *testing.T) {
	m := decode("1", nil, nil, told{}, nil)
	if got := origin(m.AsFunc); got != (pubsubq.Origin{ID: "jobs/7@5", Deliveries: 3}) {
		t.Errorf("%+v", got)
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("of another broker: %+v", got)
	}
}
