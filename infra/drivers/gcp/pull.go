package gcp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apiv1 "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/piecework/piecework/infra/drivers/internal/keep"
)

const (
	// waitMessage is how long a pull waits; the server answers as soon as it has a message.
	waitMessage = 20 * time.Second
	// pauseEmpty is the pause after a pull that was answered at once, and empty.
	pauseEmpty = 100 * time.Millisecond
	// extendEvery and extendTo keep a message, whose subscription gives it ten seconds at the least.
	extendEvery = 4 * time.Second
	extendTo    = 20 // seconds
	// maxBatch is how many acks go in one request.
	maxBatch = 100
)

// pull receives by asking for messages when there is room for them, so that nothing is pushed ahead, a message that is
// held blocks no other, and nothing stays behind when it ends. gocloud's driver streams: what it has buffered when it is
// closed stays out of reach, its deadline extended, for as long as the process lives.
type pull struct {
	client *apiv1.SubscriptionAdminClient
	name   string // projects/P/subscriptions/S
	kept   *keep.Keeper[string, struct{}]
}

var _ driver.Subscription = (*pull)(nil)

func newPull(client *apiv1.SubscriptionAdminClient, name string, hold time.Duration) *pull {
	s := &pull{client: client, name: name}
	s.kept = keep.New(extendEvery, hold, s.extend)
	return s
}

// extend keeps messages from others. If it fails, the next time makes up for it.
func (s *pull) extend(ctx context.Context, items map[string]struct{}) {
	for ids := range slices.Chunk(slices.Collect(maps.Keys(items)), maxBatch) {
		_ = s.client.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{
			Subscription: s.name, AckIds: ids, AckDeadlineSeconds: extendTo,
		})
	}
}

// ReceiveBatch waits for a message, and returns up to most of those that are there.
func (s *pull) ReceiveBatch(ctx context.Context, most int) ([]*driver.Message, error) {
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
func (s *pull) SendAcks(ctx context.Context, ids []driver.AckID) error {
	return s.wrap("ack", s.client.Acknowledge(ctx, &pubsubpb.AcknowledgeRequest{Subscription: s.name, AckIds: s.forget(ids)}))
}

// CanNack is true.
func (*pull) CanNack() bool { return true }

// SendNacks gives messages back, by a deadline of nothing.
func (s *pull) SendNacks(ctx context.Context, ids []driver.AckID) error {
	return s.wrap("nack", s.client.ModifyAckDeadline(ctx, &pubsubpb.ModifyAckDeadlineRequest{Subscription: s.name, AckIds: s.forget(ids)}))
}

func (s *pull) forget(ids []driver.AckID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.(string)
		s.kept.Forget(out[i])
	}
	return out
}

func (s *pull) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s messages of %s: %w", what, s.name, err)
}

// IsRetryable is false: the library has tried, and pubsubq opens a new subscription.
func (*pull) IsRetryable(error) bool { return false }

// As gives access to the client.
func (s *pull) As(i any) bool {
	p, ok := i.(**apiv1.SubscriptionAdminClient)
	if ok {
		*p = s.client
	}
	return ok
}

// ErrorAs gives access to the status.
func (*pull) ErrorAs(err error, i any) bool {
	p, ok := i.(**status.Status)
	if !ok {
		return false
	}
	*p, ok = status.FromError(err)
	return ok
}

// ErrorCode classifies the status.
func (*pull) ErrorCode(err error) gcerrors.ErrorCode {
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

// Close lets go of what is held; the server delivers it again.
func (s *pull) Close() error {
	s.kept.Close()
	return nil
}
