package nats

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piecework/piecework/infra/drivers"
)

// inspect tells a consumer's ack wait, and how often it delivers.
func (s *streams) inspect(l *line) func(context.Context, string) (*drivers.LaneFacts, error) {
	return func(ctx context.Context, lane string) (*drivers.LaneFacts, error) {
		conn, err := l.get(ctx)
		if err != nil {
			return nil, err
		}
		js, err := jetstream.New(conn)
		if err != nil {
			return nil, err
		}
		name := s.streamOf(lane)
		c, err := js.Consumer(ctx, name, s.consumer)
		if s.declare && (errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound)) {
			return nil, nil // the first worker makes them as they must be
		}
		if err != nil {
			return nil, fmt.Errorf("consumer %s of stream %s: %w", s.consumer, name, err)
		}
		have := c.CachedInfo().Config
		f := &drivers.LaneFacts{
			Hidden: have.AckWait, HiddenName: "ack wait", Extended: true, Pulled: true, Factor: 1, Waiting: -1,
			HiddenRemedy: fmt.Sprintf("set the ack wait of consumer %s of stream %s", s.consumer, name),
			DeadNote:     "nothing is set aside: a message comes again until it is acknowledged",
		}
		if have.MaxDeliver > 0 {
			f.DeadLetters, f.Deliveries, f.DeadNote = drivers.No, have.MaxDeliver, ""
			f.DeadRemedy = fmt.Sprintf("set MaxDeliver of consumer %s of stream %s to -1: after %d deliveries a message would stay in the stream, and never be delivered",
				s.consumer, name, have.MaxDeliver)
		}
		return f, nil
	}
}

// denied says what to grant.
func denied(err error) string {
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return "give this process credentials that the NATS server knows"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "allow this process's user to publish and to subscribe on the lanes' subjects, on $JS.API.> and on _INBOX.>"
	default:
		return ""
	}
}
