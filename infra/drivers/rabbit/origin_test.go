package rabbit

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/piecework/piecework/pubsubq"
)

func TestOriginOfAMessage(t *testing.T) {
	for name, c := range map[string]struct {
		d    amqp.Delivery
		want pubsubq.Origin
	}{
		"first":          {amqp.Delivery{MessageId: "m"}, pubsubq.Origin{ID: "m", Deliveries: 1}},
		"quorum, third":  {amqp.Delivery{MessageId: "m", Redelivered: true, Headers: amqp.Table{"x-delivery-count": int64(2)}}, pubsubq.Origin{ID: "m", Deliveries: 3}},
		"classic, again": {amqp.Delivery{Redelivered: true}, pubsubq.Origin{}},
	} {
		m := (&subscription{}).message(c.d, false)
		if got := origin(m.AsFunc); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("of another broker: %+v", got)
	}
}

// The type of a CloudEvent's data is a property of its own in AMQP.
func TestTheContentTypeIsMetadataUnlessItIsJSON(t *testing.T) {
	for contentType, want := range map[string]string{"": "", "application/json": "", "text/plain": "text/plain"} {
		m := (&subscription{}).message(amqp.Delivery{ContentType: contentType}, false)
		if got := m.Metadata["content-type"]; got != want {
			t.Errorf("%q became %q", contentType, got)
		}
	}
}
