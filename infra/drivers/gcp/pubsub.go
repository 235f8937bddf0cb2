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
	"gocloud.dev/gcp"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/gcppubsubv2"

	"github.com/piecework/piecework/infra/drivers"
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
