package kafka

import (
	"fmt"

	"github.com/IBM/sarama"

	"github.com/piecework/piecework/pubsubq"
)

// origin names a message by its offset and time, because a topic that is created again counts from
// the start. Kafka does not count deliveries and takes no message back.
func origin(as func(any) bool) pubsubq.Origin {
	var m *sarama.ConsumerMessage
	if !as(&m) {
		return pubsubq.Origin{}
	}
	return pubsubq.Origin{ID: fmt.Sprintf("%s/%d/%d@%d", m.Topic, m.Partition, m.Offset, m.Timestamp.UnixMilli())}
}
