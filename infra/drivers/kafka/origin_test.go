package kafka

import (
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/piecework/piecework/pubsubq"
)

func TestOriginOfAMessage(t *testing.T) {
	m := &sarama.ConsumerMessage{Topic: "piecework.submit", Partition: 2, Offset: 7, Timestamp: time.UnixMilli(9)}
	got := origin(func(i any) bool {
		p, ok := i.(**sarama.ConsumerMessage)
		if ok {
			*p = m
		}
		return ok
	})
	if got != (pubsubq.Origin{ID: "piecework.submit/2/7@9"}) {
		t.Errorf(`got %+v, want got == (pubsubq.Origin{ID: "piecework.submit/2/7@9"})`, got)
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("of another broker: %+v", got)
	}
}
