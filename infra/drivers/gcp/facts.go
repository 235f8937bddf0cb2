package gcp

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/piecework/piecework/infra/drivers"
)

// mostHidden is the longest ack deadline that a subscription can have.
const mostHidden = 10 * time.Minute

// inspect reads a subscription's ack deadline and its dead-letter topic.
func (l *queues) inspect(ctx context.Context, queue string) (*drivers.QueueFacts, error) {
	client, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("projects/%s/subscriptions/%s", l.project, drivers.ForQueue(l.subscription, queue))
	s, err := client.SubscriptionAdminClient.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: name})
	if err != nil {
		return nil, fmt.Errorf("read subscription %s: %w", name, err)
	}
	return &drivers.QueueFacts{
		Hidden: time.Duration(s.GetAckDeadlineSeconds()) * time.Second, HiddenName: "ack deadline",
		HiddenRemedy: "set the ack deadline of " + name, Factor: 1, Most: mostHidden,
		Pulled:          s.GetPushConfig().GetPushEndpoint() == "",
		DeadLetterQueue: s.GetDeadLetterPolicy().GetDeadLetterTopic(), Deliveries: int(s.GetDeadLetterPolicy().GetMaxDeliveryAttempts()),
		DeadRemedy: "give " + name + " a dead-letter topic, with a subscription of its own, and 100 delivery attempts",
	}, nil
}
