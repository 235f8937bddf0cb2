package servers

import (
	"testing"

	natsclient "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/pubsubq/natspubsub"
	"github.com/piecework/piecework/pubsubq/rabbitpubsub"
	"github.com/piecework/piecework/tests/conformance"
)

// compete are the cases that no driver of a work queue can pass.
var compete = map[string]string{
	"TestSendReceiveTwo": "subscriptions of a queue compete for its messages, and do not get a copy each",
}

func TestNATSDriver(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	conn := natspubsub.NewConn("nats://" + n.Host())
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	_, js := n.connect(t)
	conformance.Driver(t, conformance.DriverHarness{
		Remove: func(t *testing.T, name string) {
			t.Helper()
			if err := js.DeleteStream(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		},
		Topic: func(t *testing.T, name string) *pubsub.Topic {
			t.Helper()
			topic, err := natspubsub.OpenTopic(t.Context(), conn, name, nil)
			if err != nil {
				t.Fatal(err)
			}
			return topic
		},
		Subscription: func(t *testing.T, name string) *pubsub.Subscription {
			t.Helper()
			sub, err := natspubsub.OpenSubscription(t.Context(), conn, name, nil)
			if err != nil {
				t.Fatal(err)
			}
			return sub
		},
		Cannot:  compete,
		TopicAs: conformance.As[*natsclient.Conn](), SubscriptionAs: conformance.As[jetstream.Consumer](),
		MessageAs: conformance.As[jetstream.Msg](), BeforeSendAs: conformance.As[*natsclient.Msg](),
	})
}

func TestRabbitDriver(t *testing.T) {
	t.Parallel()
	r := StartRabbit(t)
	out, in := rabbitpubsub.NewConn(r.URL, amqp.Config{}), rabbitpubsub.NewConn(r.URL, amqp.Config{})
	t.Cleanup(func() { _, _ = out.Close(), in.Close() })
	conformance.Driver(t, conformance.DriverHarness{
		Remove: func(t *testing.T, name string) {
			t.Helper()
			conn, err := out.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ch, err := conn.Channel()
			if err != nil {
				t.Fatal(err)
			}
			defer ch.Close()
			if _, err := ch.QueueDelete(name, false, false, false); err != nil {
				t.Fatal(err)
			}
		},
		Topic: func(t *testing.T, name string) *pubsub.Topic {
			t.Helper()
			topic, err := rabbitpubsub.OpenTopic(t.Context(), out, name, nil)
			if err != nil {
				t.Fatal(err)
			}
			return topic
		},
		Subscription: func(t *testing.T, name string) *pubsub.Subscription {
			t.Helper()
			sub, err := rabbitpubsub.OpenSubscription(t.Context(), in, name, nil)
			if err != nil {
				t.Fatal(err)
			}
			return sub
		},
		Cannot:  compete,
		TopicAs: conformance.As[*amqp.Channel](), SubscriptionAs: conformance.As[*amqp.Channel](),
		MessageAs: conformance.As[amqp.Delivery](), BeforeSendAs: conformance.As[*amqp.Publishing](),
		TopicErrorAs: conformance.As[*amqp.Error](), SubscriptionErrorAs: conformance.As[*amqp.Error](),
	})
}
