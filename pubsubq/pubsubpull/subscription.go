package pubsubpull

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apiv1 "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/piecework/piecework/pubsubq/keep"
)

const (
	// waitMessage is how long a pull waits. The service answers as soon as it has a message.
	waitMessage = 20 * time.Second
	// pauseEmpty is the pause after a pull that was answered at once, and empty.
	pauseEmpty = 100 * time.Millisecond
	// extendEvery is the interval at which deadlines are extended. The shortest deadline of a
	// subscription is 10 seconds.
	extendEvery = 4 * time.Second
	// extendTo is the deadline in seconds that an extended message gets.
	extendTo = 20
	// maxBatch is how many acks go in one request.
	maxBatch = 100
)

// Options are the options of a subscription. The zero value is good.
type Options struct {
	// Prefetch is how many messages are pulled at a time. Default 1.
	Prefetch int
	// Hold is how long the deadline of one message is extended. Default 15 minutes; negative: not
	// at all.
	Hold time.Duration
}

// OpenSubscription opens a subscription by its full name, projects/P/subscriptions/S. It does not
// check that it exists. Opts may be nil.
func OpenSubscription(client *apiv1.SubscriptionAdminClient, name string, opts *Options) *pubsub.Subscription {
	var o Options
	if opts != nil {
		o = *opts
	}
	s := newSubscription(client, name, cmp.Or(o.Hold, 15*time.Minute))
	return pubsub.NewSubscription(s, &batcher.Options{MaxBatchSize: cmp.Or(o.Prefetch, 1), MaxHandlers: 1},
		&batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 2})
}

type subscription struct {
	client *apiv1.SubscriptionAdminClient
	name   string
	kept   *keep.Keeper[string, struct{}] // by ack id
}

var _ driver.Subscription = (*subscription)(nil)

func newSubscription(client *apiv1.SubscriptionAdminClient, name string, hold time.Duration) *subscription {
	s := &subscription{client: client, name: name}
	s.kept = keep.New(extendEvery, hold, s.extend)
	return s
}

// extend extends deadlines. It runs several times a deadline, so one may fail.
func (s *subscription) extend(ctx context.Context, items map[string]struct{}) {
	for ids := range slices.Chunk(slices.Collect(maps.Keys(items)), maxBatch) {
		_ = s.client.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{
			Subscription: s.name, AckIds: ids, AckDeadlineSeconds: extendTo,
		})
	}
}

// ReceiveBatch waits for a message, and returns up to most of the messages that are there.
func (s *subscription) ReceiveBatch(ctx context.Context, most int) ([]*driver.Message, error) {
	wait, cancel := context.WithTimeout(ctx, waitMessage)
	defer cancel()
	got, err := s.client.Pull(wait, &pubsubpb.PullRequest{Subscription: s.name, MaxMessages: int32(most)})
	switch {
	case err == nil && len(got.GetReceivedMessages()) > 0:
		var ms []*driver.Message
		for _, m := range got.GetReceivedMessages() {
			s.kept.Add(m.GetAckId(), struct{}{})
			ms = append(ms, incoming(m))
		}
		return ms, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && wait.Err() == nil:
		return nil, fmt.Errorf("pull from %s: %w", s.name, err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(pauseEmpty):
	}
	return nil, ctx.Err()
}

func incoming(m *pubsubpb.ReceivedMessage) *driver.Message {
	return &driver.Message{
		LoggableID: m.GetMessage().GetMessageId(), Body: m.GetMessage().GetData(), Metadata: m.GetMessage().GetAttributes(),
		AckID: m.GetAckId(),
		AsFunc: func(i any) bool {
			p, ok := i.(**pubsubpb.ReceivedMessage)
			if ok {
				*p = m
			}
			return ok
		},
	}
}

// SendAcks acks messages.
func (s *subscription) SendAcks(ctx context.Context, ids []driver.AckID) error {
	return s.wrap("ack", s.client.Acknowledge(ctx, &pubsubpb.AcknowledgeRequest{Subscription: s.name, AckIds: s.forget(ids)}))
}

// CanNack returns true.
func (*subscription) CanNack() bool { return true }

// SendNacks gives messages back, by a deadline of 0.
func (s *subscription) SendNacks(ctx context.Context, ids []driver.AckID) error {
	return s.wrap("nack", s.client.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: s.name, AckIds: s.forget(ids)}))
}

func (s *subscription) forget(ids []driver.AckID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.(string)
		s.kept.Forget(out[i])
	}
	return out
}

func (s *subscription) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s messages of %s: %w", what, s.name, err)
}

// IsRetryable returns false: the library has retried, and pubsubq opens a new subscription.
func (*subscription) IsRetryable(error) bool { return false }

// As gives access to the client and the driver.
func (s *subscription) As(i any) bool {
	switch p := i.(type) {
	case **apiv1.SubscriptionAdminClient:
		*p = s.client
	case *driver.Subscription:
		*p = s
	default:
		return false
	}
	return true
}

// ErrorAs gives access to the status.
func (*subscription) ErrorAs(err error, i any) bool {
	p, ok := i.(**status.Status)
	if !ok {
		return false
	}
	*p, ok = status.FromError(err)
	return ok
}

// ErrorCode classifies the status.
func (*subscription) ErrorCode(err error) gcerrors.ErrorCode {
	if errors.Is(err, context.Canceled) {
		return gcerrors.Canceled
	}
	switch status.Code(err) {
	case codes.NotFound:
		return gcerrors.NotFound
	case codes.PermissionDenied, codes.Unauthenticated:
		return gcerrors.PermissionDenied
	case codes.InvalidArgument:
		return gcerrors.InvalidArgument
	case codes.ResourceExhausted:
		return gcerrors.ResourceExhausted
	case codes.DeadlineExceeded:
		return gcerrors.DeadlineExceeded
	default:
		return gcerrors.Unknown
	}
}

// Close stops extending. The service delivers again what is neither acked nor nacked.
func (s *subscription) Close() error {
	s.kept.Close()
	return nil
}
