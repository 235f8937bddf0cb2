package gcp

import (
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/piecework/piecework/pubsubq"
)

func TestOriginOfAMessage(t *testing.T) {
	as := func(i any) bool {
		*i.(**pubsubpb.ReceivedMessage) = &pubsubpb.ReceivedMessage{Message: &pubsubpb.PubsubMessage{MessageId: "m"}, DeliveryAttempt: 3}
		return true
	}
	if got, want := origin(as), (pubsubq.Origin{ID: "m", Deliveries: 3}); got != want {
		t.Errorf("origin = %+v, want %+v", got, want)
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("origin of another broker's message = %+v, want none", got)
	}
}
