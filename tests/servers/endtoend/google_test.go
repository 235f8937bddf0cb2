package endtoend

import (
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/piecework/piecework/tests/servers"
)

// The fake of Pub/Sub forgets its topics and subscriptions when it is stopped, so they are made again.
func TestFirestoreWithPubSubAndGCS(t *testing.T) {
	t.Setenv("FIRESTORE_EMULATOR_HOST", servers.Firestore(t))
	f := servers.StartPubSub(t)
	t.Setenv("PUBSUB_EMULATOR_HOST", f.Host)
	makeTopics(t)
	run(t, combination{
		store: "firestore://piecework-test/jobs", queues: "gcppubsub://piecework-test/piecework-{queue}", blobs: startGCS(t),
		stopQueue: f.Stop, startQueue: func(t *testing.T) {
			t.Helper()
			f.Start()
			makeTopics(t)
		},
	})
}

func makeTopics(t *testing.T) {
	t.Helper()
	client, err := pubsub.NewClient(t.Context(), "piecework-test")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, queue := range NewRegistry(Ledger{}).Queues() {
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
	}
}

// startGCS starts a server with a bucket, and returns the bucket's URL.
func startGCS(t *testing.T) string {
	t.Helper()
	host := servers.GCS(t)
	t.Setenv("STORAGE_EMULATOR_HOST", host)
	servers.MakeBucket(t, host, "piecework")
	return "gs://piecework"
}
