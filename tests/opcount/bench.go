package main

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
	"github.com/piecework/piecework/store/sqldocstore"
	"github.com/piecework/piecework/tests/counting"
)

// bench is a runtime over a store in memory, whose operations are counted.
type bench struct {
	rt     *functions.Runtime
	ops    counting.Ops
	clock  clock
	queue  queue
	inner  *docstore.Collection
	bucket *blob.Bucket
}

func newBench(ctx context.Context, ttl store.TTL) (*bench, error) {
	b := &bench{bucket: memblob.OpenBucket(nil)}
	b.clock.now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	opts := &sqldocstore.Options{IDField: store.IDField, RevisionField: store.RevisionField, Indexes: store.Indexes()}
	for _, name := range store.Columns() {
		column := sqldocstore.Column{Name: name, Type: sqldocstore.Text}
		if name == "data" {
			column.Type = sqldocstore.Bytes
		}
		opts.Columns = append(opts.Columns, column)
	}
	var err error
	if b.inner, err = sqldocstore.Open(ctx, "sqlite::memory:", opts); err != nil {
		return nil, err
	}
	s, err := store.New(counting.Collection(b.inner, &b.ops), &store.Options{TTL: ttl, Now: b.clock.read})
	if err != nil {
		return nil, err
	}
	b.rt, err = functions.New(handlers(b), functions.Backends{
		Store: s, Queue: counting.Sender(&b.queue, &b.ops), Blobs: blobout.New(b.bucket, nil),
	}, functions.Config{Now: b.clock.read, Worker: "opcount", Log: slog.New(slog.DiscardHandler)})
	return b, err
}

func (b *bench) close() {
	_ = errors.Join(b.rt.Close(), b.bucket.Close(), b.inner.Close()) // all in memory
}

// job submits a job and lets time pass until it has ended.
func (b *bench) job(ctx context.Context, kind string, want store.State, opts ...functions.SubmitOption) error {
	r, err := b.rt.Client().Submit(ctx, kind, struct{}{}, opts...)
	if err != nil {
		return err
	}
	for range 3 {
		if err := b.deliver(ctx); err != nil {
			return err
		}
		if b.want(ctx, r.ID, want) == nil {
			return nil
		}
		b.clock.advance(time.Minute)
		if _, err := b.rt.Sweep(ctx, functions.SweepRequest{}); err != nil {
			return err
		}
	}
	return b.want(ctx, r.ID, want)
}

// want looks, uncounted, whether a job is in that state.
func (b *bench) want(ctx context.Context, id string, want store.State) error {
	s, err := store.New(b.inner, &store.Options{Now: b.clock.read})
	if err != nil {
		return err
	}
	if j, err := s.Get(ctx, id); err != nil || j.State != want {
		return fmt.Errorf("job is %s, not %s: %w", j.State, want, err)
	}
	return nil
}

// deliver executes what is in the queue until it is empty.
func (b *bench) deliver(ctx context.Context) error {
	for {
		msgs := b.queue.take()
		if len(msgs) == 0 {
			return nil
		}
		for _, m := range msgs {
			b.clock.advance(10 * time.Millisecond) // or a due time that moves would stay where it is
			if out := b.rt.Execute(ctx, m); out.Verdict == functions.Retry {
				return out.Err
			}
		}
	}
}

// sweep sweeps once and must find that many records.
func (b *bench) sweep(ctx context.Context, want int) error {
	r, err := b.rt.Sweep(ctx, functions.SweepRequest{})
	if err == nil && r.Looked != want {
		err = fmt.Errorf("sweep looked at %d records, not %d", r.Looked, want)
	}
	return err
}

// clock is the time of the paths.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// queue keeps the messages until they are taken.
type queue struct {
	mu   sync.Mutex
	msgs []pubsubq.Message
}

// Send keeps the messages.
func (q *queue) Send(_ context.Context, _ string, _ time.Duration, msgs ...pubsubq.Message) error {
	q.put(msgs)
	return nil
}

// MaxDelay says that the queue delays nothing.
func (q *queue) MaxDelay(string) time.Duration { return 0 }

func (q *queue) put(msgs []pubsubq.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.msgs = append(q.msgs, msgs...)
}

func (q *queue) take() []pubsubq.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	msgs := q.msgs
	q.msgs = nil
	return msgs
}
