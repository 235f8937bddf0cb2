package functions_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

// firstResult loses the answer to the first write of a result.
type firstResult struct{ done bool }

func (f *firstResult) Before(_ context.Context, op fault.Op) fault.Fate {
	if !f.done && op.Verb == "write" && strings.Contains(op.Key, "/p-result-") {
		f.done = true
		return fault.Fate{How: fault.Lost}
	}
	return fault.Fate{}
}

func (*firstResult) After(context.Context, fault.Op) {}

// A large result whose blob was written, though the answer was lost, is not left behind when the
// next attempt has another.
func TestAResultThatNobodyListsIsPurged(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "large", func(_ context.Context, job *functions.Job[struct{}]) (string, error) {
		return strings.Repeat(string(rune('a'+job.Attempt)), 2*store.MaxInline), nil
	}, functions.Retries(functions.Constant(0)))
	coll, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	s, err := store.New(coll, nil)
	if err != nil {
		t.Fatal(err)
	}
	files := &fault.Blobs{Hook: &firstResult{}}
	bucket := blob.NewBucket(files)
	defer bucket.Close()
	d := &desk{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	d.Runtime, err = functions.New(reg, functions.Backends{Store: s, Queue: d, Blobs: blobout.New(bucket, nil)},
		functions.Config{Now: func() time.Time { return d.now }, Worker: "test"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Client().Submit(t.Context(), "large", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	d.drain(t)
	if i := d.get(t, r.ID); i.State != store.Succeeded || i.Attempt != 2 {
		t.Fatalf("job = %+v; want State = Succeeded and Attempt = 2", i)
	}
	if keys := files.Keys(); len(keys) != 1 {
		t.Errorf("blobs that are left: %v", keys)
	}
}

// An output may have the name that the blob of a keyed submission's arguments begins with. It is
// removed as others are.
func TestAnOutputThatIsNamedLikeArgumentsIsRemoved(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		out, err := job.Output(ctx, "p-args-eu/berlin.csv")
		if err == nil {
			_, err = io.WriteString(out, "text")
		}
		if err == nil {
			err = out.Close()
		}
		if job.Args.Item == "fails" && err == nil {
			err = functions.Permanent(errors.New("no"))
		}
		return job.Args, err
	}, functions.Retention(time.Hour)))
	if i := d.once(t, "shop.order", order{Item: "fails"}); i.State != store.Failed {
		t.Errorf("state %s (%s), want failed", i.State, i.Error)
	}
	if files := d.files(t); len(files) != 0 {
		t.Errorf("files %v of a failed job, want none", files)
	}
	if i := d.once(t, "shop.order", order{}); i.State != store.Succeeded {
		t.Errorf("state %s (%s), want succeeded", i.State, i.Error)
	}
	d.advance(2 * time.Hour)
	d.sweep(t)
	if files := d.files(t); len(files) != 0 {
		t.Errorf("files %v after the retention, want none", files)
	}
}

// What a call has written that ends in Continue without a checkpoint will be written again: its
// files are removed.
func TestACallThatSavesNothingLeavesNoFiles(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		out, err := job.Output(ctx, "a.csv")
		if err == nil {
			_, err = io.WriteString(out, "text")
		}
		if err == nil {
			err = out.Close()
		}
		if err != nil {
			return order{}, err
		}
		return order{}, functions.ContinueAfter(time.Minute, nil)
	}))
	id := d.submit(t, "shop.order", order{})
	d.Execute(t.Context(), d.take()[0].msg)
	if i := d.get(t, id); i.State != store.Scheduled {
		t.Errorf("state %s (%s), want scheduled", i.State, i.Error)
	}
	if files := d.files(t); len(files) != 0 {
		t.Errorf("files %v, want none", files)
	}
}
