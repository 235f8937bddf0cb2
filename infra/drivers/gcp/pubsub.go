package gcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	raw "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"gocloud.dev/gcp"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/gcppubsubv2"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/pubsubpull"
)

// queues is what a gcppubsub URL says.
type queues struct {
	project, topic, subscription string // the names with "{queue}"
	prefetch                     int
	hold                         time.Duration

	mu     sync.Mutex
	client *raw.Client
	closed bool
}

func parseQueue(a *drivers.Address) (*queues, error) {
	if err := a.WantHost("project"); err != nil {
		return nil, err
	}
	topic, err := name(a, "topic")
	if err != nil {
		return nil, err
	}
	l := &queues{
		project: a.Host, topic: topic, subscription: a.Params.String("subscription", topic),
		prefetch: a.Params.Int("prefetch", 1, 1, 1000),
		hold:     a.Params.Duration("hold", 15*time.Minute, 0, 24*time.Hour),
	}
	if err := errors.Join(a.WantPlaceholder(l.topic), a.WantPlaceholder(l.subscription)); err != nil {
		return nil, err
	}
	return l, a.Check()
}

func openQueue(_ context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	l, err := parseQueue(a)
	if err != nil {
		return nil, err
	}
	return drivers.NewQueue(drivers.Broker{
		Topic: func(ctx context.Context, queue string) (*pubsub.Topic, error) {
			client, err := l.get(ctx)
			if err != nil {
				return nil, err
			}
			return gcppubsubv2.OpenTopic(client, drivers.ForQueue(l.topic, queue), nil), nil
		},
		Subscription: func(ctx context.Context, queue string) (*pubsub.Subscription, error) {
			client, err := l.get(ctx)
			if err != nil {
				return nil, err
			}
			name := fmt.Sprintf("projects/%s/subscriptions/%s", l.project, drivers.ForQueue(l.subscription, queue))
			opts := &pubsubpull.Options{Prefetch: l.prefetch, Hold: cmp.Or(l.hold, -1)}
			return pubsubpull.OpenSubscription(client.SubscriptionAdminClient, name, opts), nil
		},
		Origin: origin, Close: l.close,
		Inspect: l.inspect,
	}, log), nil
}

// get returns the client, which dials again by itself.
func (l *queues) get(ctx context.Context) (*raw.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.New("client is closed")
	}
	if l.client == nil {
		// Without a connection of ours the library uses the default credentials, or the emulator.
		client, err := gcppubsubv2.Client(context.WithoutCancel(ctx), gcp.ProjectID(l.project), nil)
		if err != nil {
			return nil, fmt.Errorf("connect to Pub/Sub: %w", err)
		}
		l.client = client
	}
	return l.client, nil
}

func (l *queues) close(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.client == nil {
		return nil
	}
	return l.client.Close()
}

// origin reads what Pub/Sub tells of a message. It counts deliveries only if the subscription has a
// dead-letter topic.
func origin(as func(any) bool) pubsubq.Origin {
	var m *pubsubpb.ReceivedMessage
	if !as(&m) {
		return pubsubq.Origin{}
	}
	return pubsubq.Origin{ID: m.GetMessage().GetMessageId(), Deliveries: int(m.GetDeliveryAttempt())}
}

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
