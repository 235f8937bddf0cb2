package gcp

import (
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/piecework/piecework/pubsubq"
)

// origin reads what Pub/Sub tells of a message. It counts deliveries only if the subscription has a
// dead-letter topic.
func origin(as func(any) bool) pubsubq.Origin {
	var m *pubsubpb.ReceivedMessage
	if !as(&m) {
		return pubsubq.Origin{}
	}
	return pubsubq.Origin{ID: m.GetMessage().GetMessageId(), Deliveries: int(m.GetDeliveryAttempt())}
}
