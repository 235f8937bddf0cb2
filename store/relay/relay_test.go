package relay_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/docstore/memdocstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/relay"
)

type doc struct {
	ID   string `docstore:"id"`
	Rev  any    `docstore:"rev"`
	Text string `docstore:"text"`
	N    int    `docstore:"n"`
}

func open(t *testing.T, h relay.Hooks) *docstore.Collection {
	t.Helper()
	inner, err := memdocstore.OpenCollection("id", &memdocstore.Options{RevisionField: "rev"})
	if err != nil {
		t.Fatal(err)
	}
	coll := relay.New(inner, h)
	t.Cleanup(func() {
		_ = coll.Close()
		_ = inner.Close()
	})
	return coll
}

func TestWritesReadsAndRevisionsPassThrough(t *testing.T) {
	ctx, coll := t.Context(), open(t, relay.Hooks{})
	a := &doc{ID: "a", Text: "x"}
	if err := coll.Create(ctx, a); err != nil || a.Rev == nil {
		t.Fatal(err, a.Rev)
	}
	stale := *a
	a.Text = "y"
	if err := coll.Replace(ctx, a); err != nil {
		t.Fatal(err)
	}
	if err := coll.Replace(ctx, &stale); gcerrors.Code(err) != gcerrors.FailedPrecondition {
		t.Errorf("stale write: %v", err)
	}
	if err := coll.Update(ctx, &doc{ID: "a"}, docstore.Mods{"n": 7}); err != nil {
		t.Error(err)
	}
	if err := coll.Put(ctx, &doc{ID: "b", Text: "y"}); err != nil {
		t.Error(err)
	}
	got := &doc{ID: "a"}
	if err := coll.Get(ctx, got, "text", "n"); err != nil || got.Text != "y" || got.N != 7 {
		t.Errorf(`coll.Get: got %+v, %v, want no error && got.Text == "y" && got.N == 7`, got, err)
	}
	s, err := coll.RevisionToString(a.Rev)
	if err != nil {
		t.Fatal(err)
	}
	if rev, err := coll.StringToRevision(s); err != nil || rev != a.Rev {
		t.Errorf("revision %v became %v, %v", a.Rev, rev, err)
	}
	if err := coll.Delete(ctx, &doc{ID: "b"}); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfAListKeepTheirPlaces(t *testing.T) {
	ctx, coll := t.Context(), open(t, relay.Hooks{})
	if err := coll.Create(ctx, &doc{ID: "b"}); err != nil {
		t.Fatal(err)
	}
	err := coll.Actions().Create(&doc{ID: "a"}).Create(&doc{ID: "b"}).Get(&doc{ID: "z"}).Create(&doc{ID: "c"}).Do(ctx)
	var list docstore.ActionListError
	if !errors.As(err, &list) || len(list) != 2 {
		t.Fatalf("error %v", err)
	}
	for _, e := range list {
		if want := map[int]gcerrors.ErrorCode{1: gcerrors.AlreadyExists, 2: gcerrors.NotFound}[e.Index]; gcerrors.Code(e.Err) != want {
			t.Errorf("action %d: %v", e.Index, e.Err)
		}
	}
	if err := coll.Actions().AtomicWrites().Create(&doc{ID: "d"}).Create(&doc{ID: "b"}).Do(ctx); err == nil {
		t.Error("an atomic list with a conflict was applied")
	}
}

func TestQueriesPassThrough(t *testing.T) {
	asked := 0
	ctx, coll := t.Context(), open(t, relay.Hooks{Query: func(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error) {
		asked++
		return next(ctx, q)
	}})
	for i, id := range []string{"a", "b", "c", "d"} {
		if err := coll.Create(ctx, &doc{ID: id, N: i, Text: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	q := coll.Query().Where("text", "=", "x").Where("n", ">", 0).OrderBy("n", docstore.Descending).Offset(1).Limit(1)
	it := q.Get(ctx, "id", "n")
	defer it.Stop()
	var got doc
	if err := it.Next(ctx, &got); err != nil || got.ID != "c" {
		t.Errorf(`it.Next: got %+v, %v, want no error && got.ID == "c"`, got, err)
	}
	if err := it.Next(ctx, &got); !errors.Is(err, io.EOF) {
		t.Errorf("error %v", err)
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	if _, err := q.Plan(); err != nil {
		t.Error(err)
	}
}

func TestAHookTellsThePlan(t *testing.T) {
	coll := open(t, relay.Hooks{Plan: func(q *driver.Query) (string, error) { return "by " + q.OrderByField, nil }})
	plan, err := coll.Query().Where("text", "=", "x").Where("n", ">", 0).OrderBy("n", docstore.Ascending).Plan()
	if err != nil || plan != "by n" {
		t.Errorf("plan %q, error %v", plan, err)
	}
}

func TestAHookStandsBetween(t *testing.T) {
	ctx := t.Context()
	coll := open(t, relay.Hooks{Actions: func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if err := next(ctx, acts); err != nil {
			return err
		}
		return driver.ActionListError{{Index: -1, Err: io.ErrUnexpectedEOF}} // the answer is lost
	}})
	if err := coll.Create(ctx, &doc{ID: "a"}); !errors.Is(err, io.ErrUnexpectedEOF) || gcerrors.Code(err) != gcerrors.Unknown {
		t.Errorf("error %v", err)
	}
	if err := coll.Create(ctx, &doc{ID: "a"}); gcerrors.Code(err) != gcerrors.AlreadyExists {
		t.Errorf("it was not applied: %v", err)
	}
}
