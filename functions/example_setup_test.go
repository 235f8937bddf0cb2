package functions_test

import (
	"context"
	"log/slog"
	"time"

	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// workshop is a runtime in memory for the examples: what is submitted waits until run or later is called. In a
// deployment a worker, or a function of the cloud, does that; in a test of your own, package localdev.
type workshop struct {
	*functions.Client

	runtime *functions.Runtime
	queue   []pubsubq.Message
	now     time.Time
}

// open opens a workshop for the registry's kinds.
func open(jobs *functions.Registry) *workshop {
	coll, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		panic(err)
	}
	records, err := store.New(coll, nil)
	if err != nil {
		panic(err)
	}
	w := &workshop{now: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}
	w.runtime, err = functions.New(jobs, functions.Backends{
		Store: records, Queue: w, Blobs: blobout.New(memblob.OpenBucket(nil), nil),
	}, functions.Config{Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	w.Client = w.runtime.Client()
	return w
}

// Send keeps the messages.
func (w *workshop) Send(_ context.Context, _ string, _ time.Duration, msgs ...pubsubq.Message) error {
	w.queue = append(w.queue, msgs...)
	return nil
}

// MaxDelay says that the queue delays nothing.
func (w *workshop) MaxDelay(string) time.Duration { return 0 }

// run executes what is queued, until nothing is.
func (w *workshop) run() {
	for len(w.queue) > 0 {
		m := w.queue[0]
		w.queue = w.queue[1:]
		w.runtime.Execute(context.Background(), m)
	}
}

// later lets time pass, sweeps, and executes what is queued then.
func (w *workshop) later(d time.Duration) {
	w.now = w.now.Add(d)
	if _, err := w.runtime.Sweep(context.Background(), functions.SweepRequest{}); err != nil {
		panic(err)
	}
	w.run()
}
