package servers

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/conformance"
)

func TestFirestore(t *testing.T) {
	t.Setenv("FIRESTORE_EMULATOR_HOST", Firestore(t))
	set := drivers.New(gcp.Register)
	n := 0
	conformance.Store(t, conformance.StoreHarness{
		TTL:     store.TTLTime,
		Records: 2000, // the emulator reads every document of the collection for each query
		New: func(t *testing.T) conformance.OpenStore {
			n++
			return conformance.StoreOf(set, fmt.Sprintf("firestore://piecework-test/jobs-%d?ttl=true", n))
		},
	})
}

func TestPubSub(t *testing.T) {
	t.Setenv("PUBSUB_EMULATOR_HOST", PubSub(t))
	client, err := pubsub.NewClient(t.Context(), "piecework-test")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conformance.Queue(t, conformance.QueueHarness{
		Queue: queueNames(func(t *testing.T, queue string) {
			topic := "projects/piecework-test/topics/piecework-" + queue
			if _, err := client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
				t.Fatal(err)
			}
			_, err := client.SubscriptionAdminClient.CreateSubscription(t.Context(), &pubsubpb.Subscription{
				Name: "projects/piecework-test/subscriptions/piecework-" + queue, Topic: topic, AckDeadlineSeconds: 10,
			})
			if err != nil {
				t.Fatal(err)
			}
		}),
		Connect:    conformance.ConnectTo(drivers.New(gcp.Register), "gcppubsub://piecework-test/piecework-{queue}"),
		Redelivery: 10 * time.Second, MaxBody: 900_000,
	})
}
