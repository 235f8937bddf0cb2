package servers

import (
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
)

// FakePubSub is Google's fake of Pub/Sub in this process.
//
// It differs from the real service: it keeps everything in memory, topics and subscriptions too, and has no limits of
// size.
type FakePubSub struct {
	Host string // and port

	server *pstest.Server
}

// PubSub starts a fake of Pub/Sub and returns where it listens.
func PubSub(tb testing.TB) string {
	tb.Helper()
	return StartPubSub(tb).Host
}

// MakePubSubQueue creates the topic and the subscription of a queue.
func MakePubSubQueue(tb testing.TB, client *pubsub.Client, queue string) {
	tb.Helper()
	topic := "projects/piecework-test/topics/piecework-" + queue
	if _, err := client.TopicAdminClient.CreateTopic(tb.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
		tb.Fatal(err)
	}
	_, err := client.SubscriptionAdminClient.CreateSubscription(tb.Context(), &pubsubpb.Subscription{
		Name: "projects/piecework-test/subscriptions/piecework-" + queue, Topic: topic, AckDeadlineSeconds: 10,
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// StartPubSub starts a fake of Pub/Sub, which can be stopped and started again.
func StartPubSub(tb testing.TB) *FakePubSub {
	tb.Helper()
	f := &FakePubSub{Host: address(freePort(tb))}
	f.Start()
	tb.Cleanup(f.Stop)
	return f
}

// Start starts the fake, after Stop where it was before. It has forgotten everything.
func (f *FakePubSub) Start() { f.server = pstest.NewServerWithAddress(f.Host) }

// Stop cuts off all clients.
func (f *FakePubSub) Stop() { _ = f.server.Close() }
