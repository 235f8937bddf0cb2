package rabbit

import (
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/piecework/piecework/pubsubq"
)

// deliveryCount is the header in which quorum queues tell how often a message was delivered before.
const deliveryCount = "x-delivery-count"

// origin reads what RabbitMQ tells of a message. The id is the sender's, who may have given none. Classic queues do not
// count: they tell a first delivery from later ones, so that is known at least.
func origin(as func(any) bool) pubsubq.Origin {
	var d amqp.Delivery
	if !as(&d) {
		return pubsubq.Origin{}
	}
	o := pubsubq.Origin{ID: d.MessageId}
	if n, ok := d.Headers[deliveryCount].(int64); ok {
		o.Deliveries = int(n) + 1
	} else if !d.Redelivered {
		o.Deliveries = 1
	}
	return o
}
