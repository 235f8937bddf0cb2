package gcp

import (
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/piecework/piecework/pubsubq"
)

func TestOriginOfAMessage(t *testing.T) {
	m := incoming(&pubsubpb.ReceivedMessage{Message: &pubsubpb.PubsubMessage{MessageId: "m"}, DeliveryAttempt: 3})
	if got := origin(m.AsFunc); got != (pubsubq.Origin{ID: "m", Deliveries: 3}) {
		t.Errorf("%+v", got)
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("of another broker: %+v", got)
	}
}
