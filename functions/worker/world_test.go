package worker_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/store"
)

// world is what workers of a test share: a store, blobs and a queue, in memory and on the bubble's
// clock.
type world struct {
	t     *testing.T
	store *store.Store
	blobs *blobout.Store
	queue *memqueue.Queue

	direct pubsubq.Direct // what workers send to and receive from: the queue, unless something stands before it
}

func newWorld(t *testing.T) *world {
	t.Helper()
	coll, err := mem.OpenCollection()
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.New(coll, &store.Options{Timing: store.Timing{Native: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	bucket := memblob.OpenBucket(nil)
	w := &world{t: t, store: st, blobs: blobout.New(bucket, nil), queue: memqueue.New(nil)}
	w.direct = w.queue
	t.Cleanup(func() {
		_ = w.queue.Close()
		_ = bucket.Close()
		_ = coll.Close()
	})
	return w
}

// running is a worker of a test.
type running struct {
	*worker.Worker
	rt     *functions.Runtime
	cancel context.CancelFunc
	done   chan error
}

func (w *world) runtime(reg *functions.Registry, cfg functions.Config) *functions.Runtime {
	w.t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	rt, err := functions.New(reg, functions.Backends{
		Store: w.store, Blobs: w.blobs, Queue: pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: w.direct}),
	}, cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = rt.Close() })
	return rt
}

// start starts a worker on queues.
func (w *world) start(reg *functions.Registry, opts worker.Options, queues ...string) *running {
	w.t.Helper()
	return w.startOn(w.runtime(reg, functions.Config{}), opts, queues...)
}

// startOn starts a worker of a runtime on queues; none: all of the registry.
func (w *world) startOn(rt *functions.Runtime, opts worker.Options, queues ...string) *running {
	w.t.Helper()
	r := &running{rt: rt, done: make(chan error, 1)}
	var err error
	opts.Queues, opts.Submit = queues, true
	if r.Worker, err = worker.New(r.rt, w.receiver, &opts); err != nil {
		w.t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(w.t.Context())
	go func() { r.done <- r.Run(ctx) }()
	return r
}

func (w *world) receiver(queue string) *pubsubq.Receiver {
	return pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: w.direct, Queue: queue})
}

// stop ends a worker and waits until it has drained.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

func (r *running) submit(t *testing.T, kind string, args any, opts ...functions.SubmitOption) string {
	t.Helper()
	receipt, err := r.rt.Client().Submit(t.Context(), kind, args, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return receipt.ID
}

func (r *running) state(t *testing.T, id string) store.State {
	t.Helper()
	info, err := r.rt.Client().Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return info.State
}

// sleeper registers a kind that sleeps for its argument in milliseconds and counts how many of it
// run at once.
func sleeper(kind string, opts ...functions.KindOption) (*functions.Registry, *gauge) {
	reg, g := functions.NewRegistry(), &gauge{}
	functions.Handle(reg, kind, g.sleep, opts...)
	return reg, g
}

type gauge struct{ now, most, total atomic.Int64 }

func (g *gauge) sleep(ctx context.Context, job *functions.Job[int]) (int, error) {
	g.total.Add(1)
	n := g.now.Add(1)
	defer g.now.Add(-1)
	for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
	}
	select {
	case <-time.After(time.Duration(job.Args) * time.Millisecond):
		return job.Args, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}
