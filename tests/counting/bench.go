package counting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// Bench is a runtime over a store, on a clock of its own, whose operations are counted. Nothing in it moves by itself.
type Bench struct {
	Runtime *functions.Runtime
	Ops     Ops
	Clock   Clock
	Queue   Queue

	bucket *blob.Bucket
}

// NewBench makes a bench over a collection, which stays the caller's, and what jobs registers.
func NewBench(coll *docstore.Collection, ttl store.TTL, jobs *functions.Registry) (*Bench, error) {
	b := &Bench{bucket: memblob.OpenBucket(nil), Clock: Clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}}
	s, err := store.New(Collection(coll, &b.Ops), &store.Options{TTL: ttl, Now: b.Clock.Now})
	if err != nil {
		return nil, err
	}
	b.Runtime, err = functions.New(jobs, functions.Backends{
		Store: s, Queue: Sender(&b.Queue, &b.Ops), Blobs: blobout.New(b.bucket, nil),
	}, functions.Config{Now: b.Clock.Now, Worker: "counting", Log: slog.New(slog.DiscardHandler)})
	return b, err
}

// Close closes the runtime and the blobs.
func (b *Bench) Close() error { return errors.Join(b.Runtime.Close(), b.bucket.Close()) }

// Job submits a job and lets time pass until one has ended in that state. It does not look at the record, because that
// would count.
func (b *Bench) Job(ctx context.Context, kind string, args any, want store.State, opts ...functions.SubmitOption) error {
	ended := &b.Runtime.Stats().Succeeded
	if want == store.Failed {
		ended = &b.Runtime.Stats().Failed
	}
	before := ended.Load()
	r, err := b.Runtime.Client().Submit(ctx, kind, args, opts...)
	if err != nil {
		return err
	}
	for range 3 {
		if err := b.Deliver(ctx); err != nil {
			return err
		}
		if ended.Load() > before {
			return nil
		}
		b.Clock.Advance(time.Minute)
		if _, err := b.Runtime.Sweep(ctx, functions.SweepRequest{}); err != nil {
			return err
		}
	}
	return fmt.Errorf("job %s has not %s", r.ID, want)
}

// Deliver executes what is in the queue until it is empty.
func (b *Bench) Deliver(ctx context.Context) error {
	for msgs := b.Queue.Take(); len(msgs) > 0; msgs = b.Queue.Take() {
		for _, m := range msgs {
			b.Clock.Advance(10 * time.Millisecond) // or a due time that moves would stay where it is
			if out := b.Runtime.Execute(ctx, m); out.Verdict == functions.Retry {
				return fmt.Errorf("%v: %w", out.Verdict, out.Err)
			}
		}
	}
	return nil
}

// Thousand submits a thousand jobs of a kind in one call, and claims them by so many, as a function does that is handed
// that many messages at once.
func (b *Bench) Thousand(ctx context.Context, kind string, args any, claim int) error {
	subs := make([]functions.Submission, 1000)
	for i := range subs {
		subs[i] = functions.Submission{Kind: kind, Args: args}
	}
	receipts, err := b.Runtime.Client().SubmitMany(ctx, subs)
	for _, r := range receipts {
		err = errors.Join(err, r.Err)
	}
	if err != nil {
		return err
	}
	for msgs := b.Queue.Take(); len(msgs) > 0; msgs = msgs[min(claim, len(msgs)):] {
		for _, c := range b.Runtime.Claim(ctx, msgs[:min(claim, len(msgs))]...) {
			if c.Attempt == nil {
				return c.Outcome.Err
			}
			if out := c.Attempt.Execute(ctx); out.Err != nil {
				return out.Err
			}
		}
	}
	return nil
}

// Sweep sweeps once and must find that many records.
func (b *Bench) Sweep(ctx context.Context, want int) error {
	r, err := b.Runtime.Sweep(ctx, functions.SweepRequest{})
	if err == nil && r.Looked != want {
		err = fmt.Errorf("sweep looked at %d records, not %d", r.Looked, want)
	}
	return err
}

// Clock is a time that moves when it is told to.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance lets time pass.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Queue keeps messages until they are taken, and counts the requests that brought them. The zero value is empty.
type Queue struct {
	mu       sync.Mutex
	msgs     []pubsubq.Message
	requests int
}

// Send keeps the messages.
func (q *Queue) Send(_ context.Context, _ string, _ time.Duration, msgs ...pubsubq.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.msgs = append(q.msgs, msgs...)
	q.requests += (len(msgs) + 9) / 10
	return nil
}

// MaxDelay says that the queue delays nothing.
func (q *Queue) MaxDelay(string) time.Duration { return 0 }

// Take returns the messages that have come since the last Take.
func (q *Queue) Take() []pubsubq.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	msgs := q.msgs
	q.msgs = nil
	return msgs
}

// TakeRequests returns how many requests have sent messages since the last TakeRequests: in batches of up to ten, as SQS
// takes them.
func (q *Queue) TakeRequests() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.requests
	q.requests = 0
	return n
}
