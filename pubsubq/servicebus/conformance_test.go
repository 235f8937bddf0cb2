package servicebus_test

import (
	"context"
	"os"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/pubsubq/servicebus"
	"github.com/piecework/piecework/tests/conformance"
)

// Over a real namespace, or Microsoft's emulator, which is a container image.
func TestConformance(t *testing.T) {
	connection := os.Getenv("PIECEWORK_TEST_SERVICEBUS")
	if connection == "" {
		t.Skip("no Service Bus: set PIECEWORK_TEST_SERVICEBUS to a connection string with the right Manage")
	}
	manage, err := admin.NewClientFromConnectionString(connection, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := azservicebus.NewClientFromConnectionString(connection, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.WithoutCancel(t.Context())) })
	topics := map[string]string{} // by subscription
	conformance.Driver(t, conformance.DriverHarness{
		Create: func(t *testing.T, topic string) {
			t.Helper()
			if _, err := manage.CreateTopic(t.Context(), topic, nil); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _, _ = manage.DeleteTopic(context.WithoutCancel(t.Context()), topic, nil) })
		},
		Subscribe: func(t *testing.T, topic, subscription string) {
			t.Helper()
			if _, err := manage.CreateSubscription(t.Context(), topic, subscription, nil); err != nil {
				t.Fatal(err)
			}
			topics[subscription] = topic
		},
		Remove: func(t *testing.T, topic string) {
			t.Helper()
			if _, err := manage.DeleteTopic(t.Context(), topic, nil); err != nil {
				t.Fatal(err)
			}
		},
		Topic: func(t *testing.T, name string) *pubsub.Topic {
			t.Helper()
			topic, err := servicebus.OpenTopic(client, name)
			if err != nil {
				t.Fatal(err)
			}
			return topic
		},
		Subscription: func(t *testing.T, name string) *pubsub.Subscription {
			t.Helper()
			sub, err := servicebus.OpenSubscription(client, topics[name], &servicebus.Options{Subscription: name})
			if err != nil {
				t.Fatal(err)
			}
			return sub
		},
		TopicAs: conformance.As[*azservicebus.Sender](), SubscriptionAs: conformance.As[*azservicebus.Receiver](),
		MessageAs: conformance.As[*azservicebus.ReceivedMessage](), BeforeSendAs: conformance.As[*azservicebus.Message](),
	})
}
