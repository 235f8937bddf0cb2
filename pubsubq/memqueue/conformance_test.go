package memqueue_test

import (
	"testing"

	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/tests/conformance"
)

func TestConformance(t *testing.T) {
	q := memqueue.New(nil)
	t.Cleanup(func() { _ = q.Close() })
	const made = "a name is created on first use, so no topic and no subscription is missing"
	conformance.Driver(t, conformance.DriverHarness{
		Topic:        func(_ *testing.T, name string) *pubsub.Topic { return q.Topic(name) },
		Subscription: func(_ *testing.T, name string) *pubsub.Subscription { return q.Subscription(name, nil) },
		Cannot: map[string]string{
			"TestSendReceiveTwo": "subscriptions to a name compete for its messages, and do not get a copy each",
			"TestNonExistentTopicSucceedsOnOpenButFailsOnSend":           made,
			"TestNonExistentSubscriptionSucceedsOnOpenButFailsOnReceive": made,
			"TestAs/types": made,
			"TestAs/verify_As_returns_false_when_passed_nil": made,
		},
	})
}
