package nats

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

	"github.com/piecework/piecework/infra/drivers"
)

// The headers of a scheduled message, which nats.go does not name yet, and what follows a lane's subject in that of the
// schedules: each needs a subject of its own, for the server keeps one schedule a subject.
const (
	scheduleHeader = "Nats-Schedule"
	targetHeader   = "Nats-Schedule-Target"
	later          = ".-later-."
)

// confirmTime is how long a stream may take to confirm a publish. A confirm can be lost while the connection lives, and
// what waits for it has no other end.
const confirmTime = 5 * time.Second

// ensure opens the stream of a lane, and makes it if there is none. One that exists is left as it is.
func (s *streams) ensure(ctx context.Context, l *line, lane string) (jetstream.JetStream, jetstream.Stream, error) {
	conn, err := l.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(confirmTime))
	if err != nil {
		return nil, nil, err
	}
	name, subject := s.streamOf(lane), drivers.InLane(s.subject, lane)
	stream, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) && s.declare {
		stream, err = js.CreateStream(ctx, s.config(name, subject))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // made by another process just now
			stream, err = js.Stream(ctx, name)
		}
	}
	if err == nil {
		err = takes(stream.CachedInfo().Config, subject)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("stream %s: %w", name, err)
	}
	return js, stream, nil
}

func (s *streams) config(name, subject string) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: name, Subjects: []string{subject}, Replicas: s.replicas, Description: "a lane of Piecework",
		Retention:  jetstream.WorkQueuePolicy, // a message is gone once it is acked
		Storage:    jetstream.FileStorage,
		Duplicates: 2 * time.Minute,
	}
	if s.memory {
		c.Storage = jetstream.MemoryStorage
	}
	if s.schedule {
		c.Subjects, c.AllowMsgSchedules = append(c.Subjects, subject+later+"*"), true
	}
	return c
}

func (s *streams) topic(l *line) func(context.Context, string) (*pubsub.Topic, error) {
	return func(ctx context.Context, lane string) (*pubsub.Topic, error) {
		js, _, err := s.ensure(ctx, l, lane)
		if err != nil {
			return nil, err
		}
		t := &topic{js: js, subject: drivers.InLane(s.subject, lane)}
		return pubsub.NewTopic(t, &batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 4}), nil
	}
}

// topic publishes to the stream of a lane.
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
		// The id is of this publish, not of the record: it makes a repeat by the library harmless, and lets a record be
		// sent again as often as it wants.
		id := nuid.Next()
		out.Header.Set(jetstream.MsgIDHeader, id)
		if out.delay > 0 {
			out.Header.Set(scheduleHeader, "@at "+time.Now().Add(out.delay).UTC().Format(time.RFC3339Nano))
			out.Header.Set(targetHeader, t.subject)
			out.Subject = t.subject + later + id
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
		if err := sent(ms[i]); err != nil {
			return err
		}
	}
	return nil
}

// IsRetryable is false: pubsubq opens a new topic instead, which makes the stream again if it is gone.
func (*topic) IsRetryable(error) bool { return false }

// As gives access to the connection.
func (t *topic) As(i any) bool { return asConn(t.js.Conn(), i) }

// ErrorAs knows no types.
func (*topic) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies an error.
func (*topic) ErrorCode(err error) gcerrors.ErrorCode { return streamError(err) }

// Close lets go of what the library keeps for confirms, a subscription and a goroutine. The connection stays open, which
// others use.
func (t *topic) Close() error {
	t.js.CleanupPublisher()
	return nil
}

// streamError classifies JetStream's errors too.
func streamError(err error) gcerrors.ErrorCode {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound),
		errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return gcerrors.NotFound
	case errors.As(err, &api) && api.Code == 503:
		return gcerrors.ResourceExhausted
	}
	return errorCode(err)
}
