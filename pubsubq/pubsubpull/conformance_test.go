package pubsubpull

import (
	"context"
	"testing"

	raw "cloud.google.com/go/pubsub/v2"
	apiv1 "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/driver"
	"google.golang.org/grpc/status"

	"github.com/piecework/piecework/tests/conformance"
)

// Over Google's fake, in process.
func TestConformance(t *testing.T) {
	_, client := start(t)
	subscriptions := map[string][]string{}
	conformance.Driver(t, conformance.DriverHarness{
		Create: func(t *testing.T, topic string) {
			t.Helper()
			if _, err := client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topicName + topic}); err != nil {
				t.Fatal(err)
			}
		},
		Subscribe: func(t *testing.T, topic, sub string) {
			t.Helper()
			subscriptions[topic] = append(subscriptions[topic], sub)
			_, err := client.SubscriptionAdminClient.CreateSubscription(t.Context(), &pubsubpb.Subscription{
				Name: subName + sub, Topic: topicName + topic, AckDeadlineSeconds: 10,
			})
			if err != nil {
				t.Fatal(err)
			}
		},
		Remove: func(t *testing.T, topic string) {
			t.Helper()
			if err := client.TopicAdminClient.DeleteTopic(t.Context(), &pubsubpb.DeleteTopicRequest{Topic: topicName + topic}); err != nil {
				t.Fatal(err)
			}
			for _, sub := range subscriptions[topic] {
				req := &pubsubpb.DeleteSubscriptionRequest{Subscription: subName + sub}
				if err := client.SubscriptionAdminClient.DeleteSubscription(t.Context(), req); err != nil {
					t.Fatal(err)
				}
			}
		},
		Topic: func(_ *testing.T, name string) *pubsub.Topic {
			return pubsub.NewTopic(&publisher{client, topicName + name}, nil)
		},
		Subscription: func(_ *testing.T, name string) *pubsub.Subscription {
			return OpenSubscription(client.SubscriptionAdminClient, subName+name, nil)
		},
		SubscriptionAs: conformance.As[*apiv1.SubscriptionAdminClient](), MessageAs: conformance.As[*pubsubpb.ReceivedMessage](),
		SubscriptionErrorAs: conformance.As[*status.Status](),
	})
}

// publisher is the least driver of topics: gocloud's, which users take, does not give its driver to
// the suite.
type publisher struct {
	client *raw.Client
	name   string
}

func (p *publisher) SendBatch(ctx context.Context, ms []*driver.Message) error {
	req := &pubsubpb.PublishRequest{Topic: p.name}
	for _, m := range ms {
		if m.BeforeSend != nil {
			if err := m.BeforeSend(func(any) bool { return false }); err != nil {
				return err
			}
		}
		req.Messages = append(req.Messages, &pubsubpb.PubsubMessage{Data: m.Body, Attributes: m.Metadata})
	}
	_, err := p.client.TopicAdminClient.Publish(ctx, req)
	return err
}

func (*publisher) IsRetryable(error) bool                 { return false }
func (*publisher) ErrorAs(error, any) bool                { return false }
func (*publisher) ErrorCode(err error) gcerrors.ErrorCode { return (*subscription)(nil).ErrorCode(err) }
func (*publisher) Close() error                           { return nil }
func (p *publisher) As(i any) bool {
	d, ok := i.(*driver.Topic)
	if ok {
		*d = p
	}
	return ok
}
