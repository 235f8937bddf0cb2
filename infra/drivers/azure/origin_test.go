package azure

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/piecework/piecework/pubsubq"
)

func TestOriginOfAMessage(t *testing.T) {
	as := func(i any) bool {
		*i.(**azservicebus.ReceivedMessage) = &azservicebus.ReceivedMessage{MessageID: "m", DeliveryCount: 3}
		return true
	}
	if got, want := origin(as), (pubsubq.Origin{ID: "m", Deliveries: 3}); got != want {
		t.Errorf("origin = %+v, want %+v", got, want)
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("origin of another broker's message = %+v, want none", got)
	}
}
