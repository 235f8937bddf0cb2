package azure

import (
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/piecework/piecework/pubsubq"
)

// origin reads what Service Bus tells of a message. The id is the sender's, who may have given
// none.
func origin(as func(any) bool) pubsubq.Origin {
	var m *azservicebus.ReceivedMessage
	if !as(&m) {
		return pubsubq.Origin{}
	}
	return pubsubq.Origin{ID: m.MessageID, Deliveries: int(m.DeliveryCount)}
}
