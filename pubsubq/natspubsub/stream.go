package natspubsub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Options are the options of a topic or a subscription. The zero value is good.
type Options struct {
	// Stream is the name of the stream. Default: the subject, with underscores for its dots.
	Stream string
	// Consumer is the name of the durable consumer that subscriptions share. Default "workers".
	Consumer string

	// MustExist makes it an error that the stream or consumer does not exist. Otherwise it is
	// created.
	MustExist bool
	// Replicas is how many servers store a stream that is created. Default 1.
	Replicas int
	// Memory creates the stream in memory instead of in files.
	Memory bool
	// Schedule creates a stream that takes messages with a delay; see [DelayHook].
	Schedule bool
	// AckWait is how long a consumer that is created waits for an ack or nack. Default 30 seconds.
	AckWait time.Duration

	// Hold is how long the ack wait of one message is extended. Default 15 minutes; negative: not
	// at all.
	Hold time.Duration
	// NackDelay is how long a nacked message waits before it comes again.
	NackDelay time.Duration
	// Prefetch is how many messages are fetched at a time. Default 1.
	Prefetch int
}

// withDefaults returns the options for a subject.
func (o *Options) withDefaults(subject string) *Options {
	var out Options
	if o != nil {
		out = *o
	}
	out.Stream = cmp.Or(out.Stream, strings.ReplaceAll(subject, ".", "_"))
	out.Consumer = cmp.Or(out.Consumer, "workers")
	out.Replicas, out.Prefetch = cmp.Or(out.Replicas, 1), cmp.Or(out.Prefetch, 1)
	out.AckWait, out.Hold = cmp.Or(out.AckWait, 30*time.Second), cmp.Or(out.Hold, 15*time.Minute)
	return &out
}

// confirmTime is how long a stream may take to confirm a publish. A confirm can be lost while the
// connection lives, and nothing else ends the wait for it.
const confirmTime = 5 * time.Second

// ensure opens the stream, and creates it if it does not exist.
func (o *Options) ensure(ctx context.Context, c *Conn, subject string) (jetstream.JetStream, jetstream.Stream, error) {
	conn, err := c.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(confirmTime))
	if err != nil {
		return nil, nil, err
	}
	stream, err := js.Stream(ctx, o.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !o.MustExist {
		stream, err = js.CreateStream(ctx, o.config(subject))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process created it just now
			stream, err = js.Stream(ctx, o.Stream)
		}
	}
	if err == nil {
		err = takes(stream.CachedInfo().Config, subject)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("stream %s: %w", o.Stream, err)
	}
	return js, stream, nil
}

func (o *Options) config(subject string) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: o.Stream, Subjects: []string{subject}, Replicas: o.Replicas,
		Retention:  jetstream.WorkQueuePolicy, // an acked message is deleted
		Storage:    jetstream.FileStorage,
		Duplicates: 2 * time.Minute,
	}
	if o.Memory {
		c.Storage = jetstream.MemoryStorage
	}
	if o.Schedule {
		c.Subjects, c.AllowMsgSchedules = append(c.Subjects, subject+scheduled+"*"), true
	}
	return c
}

// takes returns an error if a stream does not store messages to the subject. Such a stream belongs
// to somebody else, whose messages would be received here. Streams that copy from other streams may
// have any subjects.
func takes(c jetstream.StreamConfig, subject string) error {
	covers := func(pattern string) bool { return covers(pattern, subject) }
	if c.Mirror != nil || len(c.Sources) > 0 || slices.ContainsFunc(c.Subjects, covers) {
		return nil
	}
	return fmt.Errorf("it takes %s and not %s, so it belongs to another deployment: give this one a stream of another name",
		strings.Join(c.Subjects, ", "), subject)
}

// covers reports whether a pattern of NATS, which may have wildcards, matches a subject.
func covers(pattern, subject string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range want {
		switch {
		case token == ">":
			return len(have) > i
		case i >= len(have) || token != "*" && token != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}
