package servers

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"

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
			MakePubSubQueue(t, client, queue)
		}),
		Connect:    conformance.ConnectTo(drivers.New(gcp.Register), "gcppubsub://piecework-test/piecework-{queue}"),
		Redelivery: 10 * time.Second, MaxBody: 900_000,
	})
}
