package functions_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// desk is a runtime over memory, with a clock of its own and a queue that the test takes messages from.
type desk struct {
	*functions.Runtime
	now   time.Time
	queue []pubsubq.Message
}

func (d *desk) Send(_ context.Context, _ string, _ time.Duration, msgs ...pubsubq.Message) error {
	d.queue = append(d.queue, msgs...)
	return nil
}

func (d *desk) MaxDelay(string) time.Duration { return 0 }

func newDesk(t *testing.T, reg *functions.Registry) *desk {
	t.Helper()
	coll, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	s, err := store.New(coll, nil)
	if err != nil {
		t.Fatal(err)
	}
	bucket := memblob.OpenBucket(nil)
	d.Runtime, err = functions.New(reg, functions.Backends{Store: s, Queue: d, Blobs: blobout.New(bucket, nil)},
		functions.Config{Now: func() time.Time { return d.now }, Worker: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.Close()
		_ = bucket.Close()
		_ = coll.Close()
	})
	return d
}

// drain executes what is in the queue until it is empty, and returns the outcomes.
func (d *desk) drain(t *testing.T) []functions.Outcome {
	t.Helper()
	var outs []functions.Outcome
	for len(d.queue) > 0 {
		m := d.queue[0]
		d.queue = d.queue[1:]
		outs = append(outs, d.Execute(t.Context(), m))
	}
	return outs
}

func (d *desk) get(t *testing.T, id string) functions.Info {
	t.Helper()
	i, err := d.Client().Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

func TestJobSucceedsWithResultAndOutput(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "shop.order", func(ctx context.Context, job *functions.Job[order]) (order, error) {
		w, err := job.Output(ctx, "receipt.txt")
		if err != nil {
			return order{}, err
		}
		if _, err := io.WriteString(w, job.Args.Item); err != nil {
			return order{}, err
		}
		return order{job.Args.Item, job.Args.Count * 2}, w.Close()
	})
	d := newDesk(t, reg)
	r, err := d.Client().Submit(t.Context(), "shop.order", order{"tea", 3})
	if err != nil {
		t.Fatal(err)
	}
	d.drain(t)
	i := d.get(t, r.ID)
	got, err := functions.ResultOf[order](i)
	if err != nil || got != (order{"tea", 6}) {
		t.Fatalf("result %+v, error %v, of %+v", got, err, i)
	}
	f, _, err := d.Client().OpenOutput(t.Context(), r.ID, "receipt.txt", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "tea" {
		t.Fatalf("output %q, error %v", b, err)
	}
}

func TestJobRetriesAndSucceedsAtTheFourteenthAttempt(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "flaky", func(_ context.Context, job *functions.Job[struct{}]) (int, error) {
		if job.Attempt < 14 {
			return 0, errors.New("not yet")
		}
		return job.Attempt, nil
	}, functions.MaxAttempts(14))
	d := newDesk(t, reg)
	r, err := d.Client().Submit(t.Context(), "flaky", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		d.drain(t)
		d.now = d.now.Add(11 * time.Minute)
		if _, err := d.Sweep(t.Context(), functions.SweepRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	i := d.get(t, r.ID)
	if n, err := functions.ResultOf[int](i); err != nil || n != 14 {
		t.Fatalf("result %d, error %v, of %+v", n, err, i)
	}
	if len(i.Attempts) != store.MaxAttemptsKept {
		t.Errorf("%d attempts kept", len(i.Attempts))
	}
}

func TestContinueGoesOnFromItsCheckpointAndOutput(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "long", func(ctx context.Context, job *functions.Job[struct{}]) (int, error) {
		var step int
		if _, err := job.LoadCheckpoint(ctx, &step); err != nil {
			return 0, err
		}
		w, err := job.Output(ctx, "steps.txt")
		if err != nil {
			return 0, err
		}
		if _, err := io.WriteString(w, string(rune('a'+step))); err != nil {
			return 0, err
		}
		if step < 5 {
			return 0, functions.Continue(step + 1)
		}
		return job.Attempt, nil
	})
	d := newDesk(t, reg)
	r, err := d.Client().Submit(t.Context(), "long", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	d.drain(t)
	i := d.get(t, r.ID)
	if n, err := functions.ResultOf[int](i); err != nil || n != 1 {
		t.Fatalf("attempts %d, error %v, of %+v", n, err, i)
	}
	f, info, err := d.Client().OpenOutput(t.Context(), r.ID, "steps.txt", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "abcdef" || info.SHA256 == "" {
		t.Fatalf("output %q, error %v, info %+v", b, err, info)
	}
}
