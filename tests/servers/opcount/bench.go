package opcount

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
	"github.com/piecework/piecework/tests/counting"
)

// bench is a runtime over a store, on a clock of its own.
type bench struct {
	rt     *functions.Runtime
	store  *store.Store
	ops    counting.Ops
	bucket *blob.Bucket
	calls  int // requests to the queue, in batches of ten as SQS takes them

	mu   sync.Mutex
	now  time.Time
	msgs []pubsubq.Message
}

func newBench(coll *docstore.Collection, ttl store.TTL) (*bench, error) {
	b := &bench{bucket: memblob.OpenBucket(nil), now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	var err error
	if b.store, err = store.New(counting.Collection(coll, &b.ops), &store.Options{Now: b.clock, TTL: ttl}); err != nil {
		return nil, err
	}
	b.rt, err = functions.New(handlers(), functions.Backends{
		Store: b.store, Queue: counting.Sender(b, &b.ops), Blobs: blobout.New(b.bucket, nil),
	}, functions.Config{Now: b.clock, Worker: "opcount", Log: slog.New(slog.DiscardHandler)})
	return b, err
}

func (b *bench) close() { _, _ = b.rt.Close(), b.bucket.Close() }

// Send keeps the messages.
func (b *bench) Send(_ context.Context, _ string, _ time.Duration, msgs ...pubsubq.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.msgs = append(b.msgs, msgs...)
	b.calls += (len(msgs) + 9) / 10
	return nil
}

// MaxDelay says that the queue delays nothing.
func (b *bench) MaxDelay(string) time.Duration { return 0 }

func (b *bench) take() []pubsubq.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	msgs := b.msgs
	b.msgs = nil
	return msgs
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// job submits a job and lets time pass until it has succeeded.
func (b *bench) job(ctx context.Context, kind string, opts ...functions.SubmitOption) error {
	r, err := b.rt.Client().Submit(ctx, kind, args{Customer: "4711", Month: "2026-11"}, opts...)
	if err != nil {
		return err
	}
	for range 3 {
		ended, err := b.deliver(ctx)
		if err != nil || ended {
			return err
		}
		b.advance(time.Minute)
		if _, err := b.rt.Sweep(ctx, functions.SweepRequest{}); err != nil {
			return err
		}
	}
	return fmt.Errorf("job %s has not ended", r.ID)
}

// deliver executes what is in the queue until it is empty, and reports whether a job succeeded.
func (b *bench) deliver(ctx context.Context) (bool, error) {
	before := b.rt.Stats().Succeeded.Load()
	for msgs := b.take(); len(msgs) > 0; msgs = b.take() {
		for _, m := range msgs {
			b.advance(10 * time.Millisecond) // or a due time that moves would stay where it is
			if out := b.rt.Execute(ctx, m); out.Verdict != functions.Ack {
				return false, fmt.Errorf("%v: %w", out.Verdict, out.Err)
			}
		}
	}
	return b.rt.Stats().Succeeded.Load() > before, nil
}

// args and result are those of the jobs: less than 1 KB.
type args struct {
	Customer string `json:"customer"`
	Month    string `json:"month"`
}

type result struct {
	Rows int `json:"rows"`
}

func handlers() *functions.Registry {
	reg := functions.NewRegistry()
	functions.Handle(reg, "plain", func(context.Context, *functions.Job[args]) (result, error) { return result{17}, nil })
	functions.Handle(reg, "kept", func(context.Context, *functions.Job[args]) (result, error) { return result{17}, nil },
		functions.Retention(time.Hour))
	functions.Handle(reg, "output", func(ctx context.Context, job *functions.Job[args]) (result, error) {
		w, err := job.Output(ctx, "a.txt")
		if err != nil {
			return result{}, err
		}
		_, err = fmt.Fprintln(w, "text")
		return result{17}, err
	})
	functions.Handle(reg, "again", func(_ context.Context, job *functions.Job[args]) (result, error) {
		if job.Attempt == 1 {
			return result{}, functions.RetryAfter(0, errors.New("no"))
		}
		return result{17}, nil
	})
	functions.Handle(reg, "continue", func(ctx context.Context, job *functions.Job[args]) (result, error) {
		if found, err := job.LoadCheckpoint(ctx, new(int)); err != nil || found {
			return result{17}, err
		}
		return result{}, functions.Continue(1)
	})
	return reg
}
