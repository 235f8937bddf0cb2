package pubsubpull

import (
	"errors"
	"testing"
	"time"

	raw "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"
)

// start starts a fake of Pub/Sub, and returns a client of it.
func start(t *testing.T) (*pstest.Server, *raw.Client) {
	t.Helper()
	server := pstest.NewServer()
	t.Setenv("PUBSUB_EMULATOR_HOST", server.Addr)
	client, err := raw.NewClient(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(client.Close(), server.Close()); err != nil {
			t.Errorf("close = %v", err)
		}
	})
	return server, client
}

const (
	topicName = "projects/p/topics/"
	subName   = "projects/p/subscriptions/"
)

// create creates a topic and a subscription of it.
func create(t *testing.T, client *raw.Client, topic, sub string) {
	t.Helper()
	_, err := client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topicName + topic})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.SubscriptionAdminClient.CreateSubscription(t.Context(), &pubsubpb.Subscription{
		Name: subName + sub, Topic: topicName + topic, AckDeadlineSeconds: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMessagesAreExtendedAndGivenBack(t *testing.T) {
	server, client := start(t)
	create(t, client, "t", "s")
	id := server.Publish(topicName+"t", []byte("x"), map[string]string{"traceparent": "t"})
	s := newSubscription(client.SubscriptionAdminClient, subName+"s", time.Hour)
	receive := func() *driver.Message {
		t.Helper()
		ms, err := s.ReceiveBatch(t.Context(), 10)
		if err != nil || len(ms) != 1 {
			t.Fatalf("received %v, %v, want one message", ms, err)
		}
		return ms[0]
	}
	m := receive()
	if m.LoggableID != id || string(m.Body) != "x" || m.Metadata["traceparent"] != "t" {
		t.Errorf("received %+v, want %s with body x and its metadata", m, id)
	}
	s.extend(t.Context(), map[string]struct{}{m.AckID.(string): {}})
	if got := server.Message(id); len(got.Modacks) != 1 || got.Modacks[0].AckDeadline != extendTo {
		t.Errorf("extended by %+v, want once, to %d seconds", got.Modacks, extendTo)
	}
	if err := s.SendNacks(t.Context(), []driver.AckID{m.AckID}); err != nil {
		t.Fatal(err)
	}
	if err := s.SendAcks(t.Context(), []driver.AckID{receive().AckID}); err != nil || server.Message(id).Acks != 1 {
		t.Errorf("acked %d times, %v, want once", server.Message(id).Acks, err)
	}
	gone := newSubscription(client.SubscriptionAdminClient, subName+"none", time.Hour)
	if _, err := gone.ReceiveBatch(t.Context(), 1); gone.ErrorCode(err) != gcerrors.NotFound {
		t.Errorf("receive from a subscription that does not exist = %v, want NotFound", err)
	}
	if err := errors.Join(s.Close(), gone.Close()); err != nil {
		t.Errorf("close = %v", err)
	}
}
