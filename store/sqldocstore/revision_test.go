package sqldocstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
)

func TestRevisionCodes(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		j := newJob(1)
		must(t, coll.Create(ctx, j))
		wantCode(t, coll.Create(ctx, newJob(1)), gcerrors.AlreadyExists)
		stale := *j
		must(t, coll.Replace(ctx, j))
		before := stale.Rev
		wantCode(t, coll.Replace(ctx, &stale), gcerrors.FailedPrecondition)
		wantCode(t, coll.Put(ctx, &stale), gcerrors.FailedPrecondition)
		wantCode(t, coll.Update(ctx, &stale, docstore.Mods{"due_pk": "x"}), gcerrors.FailedPrecondition)
		wantCode(t, coll.Delete(ctx, &stale), gcerrors.FailedPrecondition)
		if stale.Rev != before {
			t.Fatalf("a failed write changed the document's revision")
		}
		gone := *newJob(2)
		wantCode(t, coll.Replace(ctx, &gone), gcerrors.NotFound)
		wantCode(t, coll.Update(ctx, &gone, docstore.Mods{"due_pk": "x"}), gcerrors.NotFound)
		gone.Rev = j.Rev
		wantCode(t, coll.Replace(ctx, &gone), gcerrors.NotFound)
		wantCode(t, coll.Update(ctx, &gone, docstore.Mods{"due_pk": "x"}), gcerrors.NotFound)
		wantCode(t, coll.Delete(ctx, &gone), gcerrors.OK)
		gone.Rev = "not ours"
		wantCode(t, coll.Replace(ctx, &gone), gcerrors.InvalidArgument)
		must(t, coll.Delete(ctx, j))
		wantCode(t, coll.Get(ctx, &job{ID: j.ID}), gcerrors.NotFound)
	})
}

func TestOneStaleWriteAmongMany(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		jobs, create := make([]*job, 100), coll.Actions()
		for i := range jobs {
			jobs[i] = newJob(i)
			create.Create(jobs[i])
		}
		must(t, create.Do(ctx))
		fresh := *jobs[42]
		must(t, coll.Replace(ctx, &fresh))
		l := coll.Actions()
		for _, j := range jobs {
			j.DuePK = "moved"
			l.Replace(j)
		}
		var list docstore.ActionListError
		if err := l.Do(ctx); !errors.As(err, &list) || len(list) != 1 || list[0].Index != 42 {
			t.Fatalf("got %v, want one error at 42", err)
		}
		wantCode(t, list[0].Err, gcerrors.FailedPrecondition)
		if n := len(collect(t, coll.Query().Where("due_pk", "=", "moved").Get(ctx))); n != 99 {
			t.Fatalf("%d documents moved, want 99", n)
		}
	})
}

func TestOneWinner(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		j := newJob(1)
		must(t, coll.Create(ctx, j))
		for range 50 {
			var wins atomic.Int64
			var rev atomic.Value
			var wg sync.WaitGroup
			for i := range 16 {
				mine := *j
				mine.ListPK = fmt.Sprint(i)
				wg.Go(func() {
					switch err := coll.Replace(ctx, &mine); gcerrors.Code(err) {
					case gcerrors.OK:
						wins.Add(1)
						rev.Store(mine.Rev)
					case gcerrors.FailedPrecondition:
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if wins.Load() != 1 {
				t.Fatalf("%d of 16 won", wins.Load())
			}
			j.Rev = rev.Load()
		}
	})
}

func TestConcurrentIncrements(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(Options{Columns: []Column{{"n", Int}}})
		must(t, coll.Create(ctx, docmap{"id": "a", "n": 0, "m": 0.5}))
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 10 {
					err := coll.Update(ctx, docmap{"id": "a"}, docstore.Mods{"n": docstore.Increment(1), "m": docstore.Increment(1)})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got := docmap{"id": "a"}
		must(t, coll.Get(ctx, got))
		if got["n"] != int64(160) || got["m"] != 160.5 {
			t.Fatalf("got %v, want n 160, m 160.5", got)
		}
	})
}

func TestRevisionsNeverRepeat(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx := t.Context()
		var first any
		for i := range 3 {
			coll := open(jobOptions())
			j := newJob(1)
			must(t, coll.Create(ctx, j))
			if i == 0 {
				first = j.Rev
			}
			old := &job{ID: j.ID, Rev: first, Data: []byte("stale")}
			if i > 0 {
				wantCode(t, coll.Replace(ctx, old), gcerrors.FailedPrecondition)
			}
			must(t, coll.Delete(ctx, j))
			must(t, coll.Close())
		}
	})
}

func TestHiddenRevisions(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		must(t, coll.Create(ctx, docmap{"id": "a", "due_pk": "p"}))
		m := docmap{"id": "a"}
		must(t, coll.Get(ctx, m))
		if _, ok := m["rev"]; ok {
			t.Fatalf("got %v: it was written without a revision field", m)
		}
		j := &job{ID: "a"}
		must(t, coll.Get(ctx, j))
		must(t, coll.Put(ctx, docmap{"id": "a", "due_pk": "q"})) // blind, but noticed
		wantCode(t, coll.Replace(ctx, j), gcerrors.FailedPrecondition)
	})
}

// TestUnreachableRevision: a document that cannot be given its new revision is refused before
// anything is written.
func TestUnreachableRevision(t *testing.T) {
	type Versioned struct {
		Rev any `docstore:"rev"`
	}
	type doc struct {
		ID string `docstore:"id"`
		*Versioned
	}
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		wantCode(t, coll.Create(ctx, &doc{ID: "a"}), gcerrors.InvalidArgument)
		wantCode(t, coll.Put(ctx, &doc{ID: "a"}), gcerrors.InvalidArgument)
		if ids := collect(t, coll.Query().Get(ctx)); len(ids) != 0 {
			t.Fatalf("%v were written", ids)
		}
		d := &doc{ID: "a", Versioned: &Versioned{}}
		must(t, coll.Create(ctx, d))
		must(t, coll.Replace(ctx, d))
	})
}
