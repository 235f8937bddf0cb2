package natspubsub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"
)

// maxBatch is how many messages are sent or acked together.
const maxBatch = 100

// OpenTopic opens the stream of a subject for sending. Opts may be nil.
func OpenTopic(ctx context.Context, conn *Conn, subject string, opts *Options) (*pubsub.Topic, error) {
	js, _, err := opts.withDefaults(subject).ensure(ctx, conn, subject)
	if err != nil {
		return nil, err
	}
	return pubsub.NewTopic(&topic{js: js, subject: subject}, &batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 4}), nil
}

type topic struct {
	js      jetstream.JetStream
	subject string
}

var _ driver.Topic = (*topic)(nil)

// SendBatch publishes the messages at once, and waits until the stream has confirmed each.
func (t *topic) SendBatch(ctx context.Context, ms []*driver.Message) error {
	futures := make([]jetstream.PubAckFuture, len(ms))
	for i, m := range ms {
		out, err := encode(t.subject, m)
		if err != nil {
			return err
		}
		// The id names this publish, not the record that the message is about: a publish that
		// nats.go repeats is stored once, and the same record may be sent again at any time.
		id := nuid.Next()
		out.Header.Set(jetstream.MsgIDHeader, id)
		if out.delay > 0 {
			out.Header.Set(scheduleHeader, "@at "+time.Now().Add(out.delay).UTC().Format(time.RFC3339Nano))
			out.Header.Set(targetHeader, t.subject)
			out.Subject = t.subject + scheduled + id
		}
		if futures[i], err = t.js.PublishMsgAsync(out.Msg); err != nil {
			return fmt.Errorf("publish to %s: %w", t.subject, err)
		}
	}
	for i, f := range futures {
		select {
		case <-ctx.Done():
			return fmt.Errorf("publish to %s: wait for the stream's confirm: %w", t.subject, ctx.Err())
		case err := <-f.Err():
			return fmt.Errorf("publish to %s: %w", t.subject, err)
		case <-f.Ok():
		}
		if err := reportSent(ms[i]); err != nil {
			return err
		}
	}
	return nil
}

// IsRetryable returns false: pubsubq opens a new topic instead, which creates the stream again if
// it is gone.
func (*topic) IsRetryable(error) bool { return false }

// As gives access to the connection and the driver.
func (t *topic) As(i any) bool {
	switch p := i.(type) {
	case **nats.Conn:
		*p = t.js.Conn()
	case *driver.Topic:
		*p = t
	default:
		return false
	}
	return true
}

// ErrorAs returns false: nats.go's errors are values, for errors.Is.
func (*topic) ErrorAs(error, any) bool { return false }

// ErrorCode classifies an error.
func (*topic) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close ends the subscription and the goroutine that nats.go has for confirms. The connection stays
// open.
func (t *topic) Close() error {
	t.js.CleanupPublisher()
	return nil
}

var codes = map[gcerrors.ErrorCode][]error{
	gcerrors.Canceled:         {context.Canceled},
	gcerrors.DeadlineExceeded: {context.DeadlineExceeded, nats.ErrTimeout},
	gcerrors.NotFound: {
		nats.ErrNoResponders, jetstream.ErrStreamNotFound, jetstream.ErrConsumerNotFound, jetstream.ErrConsumerDeleted,
		jetstream.ErrNoStreamResponse,
	},
	gcerrors.PermissionDenied:  {nats.ErrAuthorization, nats.ErrPermissionViolation},
	gcerrors.InvalidArgument:   {nats.ErrBadSubject, nats.ErrMaxPayload},
	gcerrors.ResourceExhausted: {nats.ErrReconnectBufExceeded, nats.ErrSlowConsumer},
}

func errorCode(err error) gcerrors.ErrorCode {
	for code, causes := range codes {
		for _, c := range causes {
			if errors.Is(err, c) {
				return code
			}
		}
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.Code == 503 {
		return gcerrors.ResourceExhausted
	}
	return gcerrors.Unknown
}
