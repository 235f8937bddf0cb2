package fault_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/tests/fault"
)

// tardy keeps the effects of some verbs, and lets their callers give up at once.
type tardy struct {
	verbs []string
	held  []func()
}

func (h *tardy) Before(_ context.Context, op fault.Op) fault.Fate {
	if slices.Contains(h.verbs, op.Verb) {
		return fault.Fate{How: fault.Late}
	}
	return fault.Fate{}
}

func (h *tardy) After(context.Context, fault.Op) {}

func (h *tardy) Wait(_ context.Context, _ fault.Op, apply func()) error {
	h.held = append(h.held, apply)
	return context.Canceled
}

// arrive lets all that was kept happen.
func (h *tardy) arrive() {
	for _, apply := range h.held {
		apply()
	}
	h.held, h.verbs = nil, nil
}

func TestAWriteThatWasGivenUpIsAppliedAsItWasAskedFor(t *testing.T) {
	for _, flavour := range []fault.Flavour{fault.Memory, fault.Dynamo, fault.Mongo, fault.Firestore} {
		h := &tardy{}
		docs := &fault.Docs{Hook: h, Flavour: flavour}
		coll := open(t, docs)
		d := &doc{ID: "a", Data: []byte("1")}
		if err := coll.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		h.verbs = []string{"replace", "create", "delete"}
		late := *d
		if err := coll.Update(t.Context(), &late, docstore.Mods{"data": []byte("2")}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v: update: %v, want context.Canceled", flavour, err)
		}
		late.Rev = "another" // the caller may do with its document what it likes
		made := &doc{ID: "b", Data: []byte("3")}
		_ = coll.Create(t.Context(), made)
		made.Data = []byte("4")
		_ = coll.Delete(t.Context(), &doc{ID: "a", Rev: d.Rev})
		if got := string(docs.Get("a")["data"].([]byte)); got != "1" || docs.Get("b") != nil {
			t.Errorf("%v: a = %q, b = %v, want nothing applied yet", flavour, got, docs.Get("b"))
		}
		h.arrive()
		a, b := docs.Get("a"), docs.Get("b")
		if a == nil || string(a["data"].([]byte)) != "2" {
			t.Errorf("%v: a = %v, want the update applied and the removal, whose revision is gone, not", flavour, a)
		}
		if b == nil || string(b["data"].([]byte)) != "3" {
			t.Errorf("%v: b = %v, want it as it was when it was created", flavour, b)
		}
	}
}

func TestABlobThatWasGivenUpIsWrittenAndRemovedLate(t *testing.T) {
	h := &tardy{verbs: []string{"write"}}
	files := &fault.Blobs{Hook: h}
	bucket := blob.NewBucket(files)
	t.Cleanup(func() { _ = bucket.Close() })
	if err := bucket.WriteAll(t.Context(), "k", []byte("v"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("write: %v, want context.Canceled", err)
	}
	if files.Data("k") != nil {
		t.Error("the blob is there before its time")
	}
	h.arrive()
	if got := string(files.Data("k")); got != "v" {
		t.Errorf("blob = %q, want v", got)
	}
	h.verbs = []string{"remove"}
	if err := bucket.Delete(t.Context(), "k"); !errors.Is(err, context.Canceled) || files.Data("k") == nil {
		t.Errorf("remove: %v, blob %q; want context.Canceled and the blob still there", err, files.Data("k"))
	}
	h.arrive()
	if files.Data("k") != nil {
		t.Error("the blob is still there, want it removed")
	}
}
