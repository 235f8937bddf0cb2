package servers

import (
	"fmt"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/rabbit"
	"github.com/piecework/piecework/pubsubq/rabbitpubsub"
	"github.com/piecework/piecework/tests/conformance"
)

func TestRabbit(t *testing.T) {
	t.Parallel()
	r := StartRabbit(t)
	testRabbitCreates(t, r)
	conformance.Queue(t, conformance.QueueHarness{
		Queue: queueNames(nil), Connect: conformance.ConnectTo(drivers.New(rabbit.Register), r.URL+"?queue=piecework.{queue}"),
		Restart: func(t *testing.T) {
			r.Stop()
			if err := r.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	})
}

// testRabbitCreates sends to queues at the moment in which others create and consume them. Such a
// queue refuses messages until it has started.
func testRabbitCreates(t *testing.T, r Rabbit) {
	t.Helper()
	conns := make([]*rabbitpubsub.Conn, 3)
	for i := range conns {
		conns[i] = rabbitpubsub.NewConn(r.URL, amqp.Config{})
		t.Cleanup(func() { _ = conns[i].Close() })
	}
	for n := range 60 {
		queue := fmt.Sprintf("created-%d", n)
		var wg sync.WaitGroup
		wg.Go(func() {
			if s, err := rabbitpubsub.OpenSubscription(t.Context(), conns[0], queue, nil); err == nil { // otherwise a receiver tries again
				_ = s.Shutdown(t.Context())
			}
		})
		for _, conn := range conns[1:] {
			wg.Go(func() {
				topic, err := rabbitpubsub.OpenTopic(t.Context(), conn, queue, nil)
				if err == nil {
					err = topic.Send(t.Context(), &pubsub.Message{Body: []byte("x")})
				}
				if err != nil {
					t.Errorf("send to queue %s while it is created: %v, want nil", queue, err)
				}
			})
		}
		wg.Wait()
	}
}
