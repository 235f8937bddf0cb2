package nats

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq/natspubsub"
)

// inspect tells a consumer's ack wait, and how often it delivers.
func (l *place) inspect(c *natspubsub.Conn) func(context.Context, string) (*drivers.LaneFacts, error) {
	return func(ctx context.Context, lane string) (*drivers.LaneFacts, error) {
		conn, err := c.Get(ctx)
		if err != nil {
			return nil, err
		}
		js, err := jetstream.New(conn)
		if err != nil {
			return nil, err
		}
		name := l.streamOf(lane)
		consumer, err := js.Consumer(ctx, name, l.opts.Consumer)
		if !l.opts.MustExist && (errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound)) {
			return &drivers.LaneFacts{Unseen: "it is not there yet; the first worker makes it as it must be"}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("consumer %s of stream %s: %w", l.opts.Consumer, name, err)
		}
		have := consumer.CachedInfo().Config
		f := &drivers.LaneFacts{
			Hidden: have.AckWait, HiddenName: "ack wait", Extended: true, Pulled: true, Factor: 1, Waiting: -1,
			HiddenRemedy: fmt.Sprintf("set the ack wait of consumer %s of stream %s", l.opts.Consumer, name),
			DeadNote:     "nothing is set aside: a message comes again until it is acknowledged",
			Remarks:      []drivers.Remark{largest(conn)},
		}
		if have.MaxDeliver > 0 {
			f.DeadLetters, f.Deliveries, f.DeadNote = drivers.No, have.MaxDeliver, ""
			f.DeadRemedy = fmt.Sprintf("set MaxDeliver of consumer %s of stream %s to -1: after %d deliveries a message would stay in the stream, and never be delivered",
				l.opts.Consumer, name, have.MaxDeliver)
		}
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return f, fmt.Errorf("stream %s: %w", name, err)
		}
		f.Remarks = append(f.Remarks, kept(stream.CachedInfo().Config))
		return f, nil
	}
}

// kept tells how long a stream keeps messages.
func kept(c jetstream.StreamConfig) drivers.Remark {
	r := drivers.Remark{What: "retention", Why: "a message is kept until it is acknowledged"}
	if c.MaxAge > 0 {
		r.Why += fmt.Sprintf(", or for %v: then sweep sends its hint again", c.MaxAge)
	}
	if c.Retention != jetstream.WorkQueuePolicy && c.MaxAge == 0 && c.MaxMsgs <= 0 && c.MaxBytes <= 0 {
		r.Why = fmt.Sprintf("stream %s keeps messages that were acknowledged, without limit", c.Name)
		r.Remedy = "make the stream anew with work-queue retention, or give it a maximal age"
	}
	return r
}

// leastPayload is what a hint needs, with much to spare.
const leastPayload = 4096

// largest tells how large a message may be on the server.
func largest(conn *nats.Conn) drivers.Remark {
	most := conn.MaxPayload()
	r := drivers.Remark{What: "message size", Why: fmt.Sprintf("at most %d bytes, by the server's max_payload", most)}
	if most < leastPayload {
		r.Why, r.Remedy = r.Why+", which may be too little for a hint", "raise max_payload of the server"
	}
	return r
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
