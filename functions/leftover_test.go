package functions_test

import (
	"context"
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

// A large result whose blob was written, though the answer was lost, is not left behind when the next attempt has
// another.
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
		t.Fatalf("%+v", i)
	}
	if keys := files.Keys(); len(keys) != 1 {
		t.Errorf("blobs that are left: %v", keys)
	}
}
