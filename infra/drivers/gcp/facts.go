package gcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	vkit "cloud.google.com/go/firestore/apiv1"
	admin "cloud.google.com/go/firestore/apiv1/admin"
	"cloud.google.com/go/firestore/apiv1/admin/adminpb"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	apiv1 "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"gocloud.dev/docstore"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

// facts tells Firestore's time, which comes with each read, and whether it expires records. An emulator does not.
func facts(ctx context.Context, a *drivers.Address, coll *docstore.Collection) (*drivers.StoreFacts, error) {
	p, err := parseStore(a)
	if err != nil {
		return nil, err
	}
	f := &drivers.StoreFacts{}
	var client *vkit.Client
	if coll.As(&client) {
		if f.Clock, err = p.clock(ctx, client); err != nil {
			return f, err
		}
	}
	if os.Getenv(emulator) != "" {
		f.Expiry = "this is an emulator, which deletes nothing"
		return f, nil
	}
	return f, p.expiry(ctx, f)
}

// clock reads a document that does not exist.
func (p *place) clock(ctx context.Context, client *vkit.Client) (*drivers.Clock, error) {
	database := fmt.Sprintf("projects/%s/databases/%s", p.project, p.database)
	c := &drivers.Clock{Sent: time.Now()}
	stream, err := client.BatchGetDocuments(ctx, &firestorepb.BatchGetDocumentsRequest{
		Database: database, Documents: []string{database + "/documents/" + p.collection + "/doctor-clock"},
	})
	if err != nil {
		return nil, fmt.Errorf("read the time of Firestore: %w", err)
	}
	got, err := stream.Recv()
	if err != nil {
		return nil, fmt.Errorf("read the time of Firestore: %w", err)
	}
	c.Received, c.Server = time.Now(), got.GetReadTime().AsTime()
	if _, err := stream.Recv(); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the time of Firestore: %w", err)
	}
	return c, nil
}

// expiry asks the administration.
func (p *place) expiry(ctx context.Context, f *drivers.StoreFacts) error {
	client, err := admin.NewFirestoreAdminClient(ctx)
	if err != nil {
		return fmt.Errorf("connect to Firestore's administration: %w", err)
	}
	defer client.Close()
	name := fmt.Sprintf("projects/%s/databases/%s/collectionGroups/%s/fields/%s", p.project, p.database, p.collection, store.ExpiresField)
	field, err := client.GetField(ctx, &adminpb.GetFieldRequest{Name: name})
	if err != nil {
		return fmt.Errorf("configuration of the field %s: %w", store.ExpiresField, err)
	}
	f.Expires, f.Expiry = drivers.No, "there is no policy on that field"
	if c := field.GetTtlConfig(); c != nil {
		f.Expiry = "the policy on that field is " + c.GetState().String()
		if c.GetState() == adminpb.Field_TtlConfig_ACTIVE || c.GetState() == adminpb.Field_TtlConfig_CREATING {
			f.Expires = drivers.Yes
		}
	}
	return nil
}

// mostHidden is the longest ack deadline that a subscription can have.
const mostHidden = 10 * time.Minute

// inspect tells a subscription's ack deadline and dead letters.
func (l *lanes) inspect(ctx context.Context, lane string) (*drivers.LaneFacts, error) {
	client, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("projects/%s/subscriptions/%s", l.project, drivers.InLane(l.subscription, lane))
	s, err := client.SubscriptionAdminClient.GetSubscription(ctx, &pubsubpb.GetSubscriptionRequest{Subscription: name})
	if err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", name, err)
	}
	pushed := s.GetPushConfig().GetPushEndpoint() != ""
	f := &drivers.LaneFacts{
		Hidden: time.Duration(s.GetAckDeadlineSeconds()) * time.Second, HiddenName: "ack deadline",
		HiddenRemedy: "set the ack deadline of " + name, Factor: 1, Most: mostHidden,
		Extended: !pushed, Pulled: !pushed,
		DeadLetters: drivers.No, DeadRemedy: "give " + name + " a dead-letter topic, with a subscription of its own, and 100 delivery attempts",
		Waiting: -1,
	}
	if d := s.GetDeadLetterPolicy(); d != nil && d.GetDeadLetterTopic() != "" {
		f.DeadLetters, f.DeadLetterQueue, f.Deliveries = drivers.Yes, d.GetDeadLetterTopic(), int(d.GetMaxDeliveryAttempts())
		f.DeadRemedy = "raise the maximal delivery attempts of " + name
	}
	f.Remarks = remarks(s)
	if f.DeadLetters == drivers.Yes {
		lost, err := unheard(ctx, client.TopicAdminClient, f.DeadLetterQueue)
		if err != nil {
			return f, err
		}
		f.Remarks = append(f.Remarks, lost...)
	}
	return f, nil
}

// remarks judges what is Pub/Sub's own: how long messages wait, and how long a subscription lives that nobody uses.
func remarks(s *pubsubpb.Subscription) []drivers.Remark {
	var rs []drivers.Remark
	if d := s.GetMessageRetentionDuration(); d != nil {
		rs = append(rs, drivers.Remark{What: "retention", Why: fmt.Sprintf("%v: what nobody has received by then is gone, and sweep sends its hint again", d.AsDuration())})
	}
	switch p := s.GetExpirationPolicy(); {
	case p == nil:
		rs = append(rs, drivers.Remark{What: "expiration", Why: "not checked: the service does not tell here"})
	case p.GetTtl().AsDuration() == 0:
		rs = append(rs, drivers.Remark{What: "expiration", Why: "the subscription stays when nobody uses it"})
	default:
		rs = append(rs, drivers.Remark{
			What: "expiration", Why: fmt.Sprintf("the subscription is deleted when nobody receives from it for %v, and what is sent then reaches nobody", p.GetTtl().AsDuration()),
			Remedy: "let " + s.GetName() + " never expire",
		})
	}
	if s.GetDetached() {
		rs = append(rs, drivers.Remark{What: "state", Why: "the subscription is detached from its topic", Remedy: "make " + s.GetName() + " anew", Fatal: true})
	}
	return rs
}

// unheard warns of a dead-letter topic whose messages reach nobody.
func unheard(ctx context.Context, client *apiv1.TopicAdminClient, topic string) ([]drivers.Remark, error) {
	_, err := client.ListTopicSubscriptions(ctx, &pubsubpb.ListTopicSubscriptionsRequest{Topic: topic}).Next()
	if err == nil {
		return nil, nil
	}
	if !errors.Is(err, iterator.Done) && status.Code(err) != codes.NotFound {
		return nil, fmt.Errorf("subscriptions of the dead-letter topic %s: %w", topic, err)
	}
	return []drivers.Remark{{
		What: "dead-letter topic", Why: topic + " has no subscription: what is set aside there is gone, and nobody hears of it",
		Remedy: "give it a subscription",
	}}, nil
}
