package azure

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/piecework/piecework/pubsubq"
)

func TestOriginOfAMessage(t *testing.T) {
	text := "text/plain"
	m := incoming(&azservicebus.ReceivedMessage{MessageID: "m", DeliveryCount: 3, ContentType: &text})
	if got := origin(m.AsFunc); got != (pubsubq.Origin{ID: "m", Deliveries: 3}) || m.Metadata["content-type"] != text {
		t.Errorf("%+v, %v", got, m.Metadata)
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("of another broker: %+v", got)
	}
}
