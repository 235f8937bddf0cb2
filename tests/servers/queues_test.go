package servers

import (
	"fmt"
	"testing"
	"time"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/kafka"
	"github.com/piecework/piecework/tests/conformance"
)

// queueNames returns a function that makes up a name and creates a queue of that name.
func queueNames(create func(t *testing.T, queue string)) func(t *testing.T) string {
	n := 0
	return func(t *testing.T) string {
		t.Helper()
		n++
		queue := fmt.Sprint("queue-", n)
		if create != nil {
			create(t, queue)
		}
		return queue
	}
}

func TestKafka(t *testing.T) {
	t.Parallel()
	var topics []string
	for i := range 40 {
		topics = append(topics, fmt.Sprint("piecework-queue-", i))
	}
	conformance.Queue(t, conformance.QueueHarness{
		Queue: queueNames(nil), Connect: conformance.ConnectTo(drivers.New(kafka.Register), "kafka://"+Kafka(t, topics...)+"/piecework-{queue}"),
		NackDrops: true, MaxBody: 900_000, TooLarge: 1<<20 + 100_000,
		Redelivery: 15 * time.Second, // another joins the group
	})
}
