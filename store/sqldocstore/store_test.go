package sqldocstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/piecework/piecework/tests/postgres"
	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
)

type docmap = map[string]any

// stores runs a test on every kind of database. open gives a collection on the same
// database each time, except in memory.
func stores(t *testing.T, f func(t *testing.T, open func(Options) *docstore.Collection)) {
	run := func(name string, url func(t *testing.T) string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := url(t)
			f(t, func(o Options) *docstore.Collection {
				coll := docstore.NewCollection(mustOpen(t, u, o))
				t.Cleanup(func() { coll.Close() }) // an error means that the test has closed it
				return coll
			})
		})
	}
	run("file", func(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "a.db") })
	run("memory", func(*testing.T) string { return "sqlite::memory:" })
	run("postgres", func(t *testing.T) string { return postgres.Start(t) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, want gcerrors.ErrorCode) {
	t.Helper()
	if got := gcerrors.Code(err); got != want {
		t.Fatalf("got %v (%v), want %v", got, err, want)
	}
}

func collect(t testing.TB, it *docstore.DocumentIterator) (ids []string) {
	t.Helper()
	defer it.Stop()
	for {
		d := docmap{}
		err := it.Next(t.Context(), d)
		if errors.Is(err, io.EOF) {
			return ids
		}
		must(t, err)
		ids = append(ids, d["id"].(string))
	}
}

func TestPersistence(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		if t.Name() == "TestPersistence/memory" {
			t.Skip("in memory")
		}
		ctx, coll := t.Context(), open(jobOptions())
		j := newJob(1)
		must(t, coll.Create(ctx, j))
		must(t, coll.Close())
		wantCode(t, coll.Get(ctx, &job{ID: j.ID}), gcerrors.FailedPrecondition)

		o := jobOptions() // with a column and an index more
		o.Columns = append(o.Columns, Column{"extra", Text})
		o.Indexes = append(o.Indexes, []string{"extra"})
		coll = open(o)
		got := &job{ID: j.ID}
		must(t, coll.Get(ctx, got))
		if !bytes.Equal(got.Data, j.Data) || got.Rev != j.Rev {
			t.Fatalf("got %v, want %v", got, j)
		}
		must(t, coll.Update(ctx, got, docstore.Mods{"extra": "x"}))
		if ids := collect(t, coll.Query().Where("extra", "=", "x").Get(ctx)); len(ids) != 1 {
			t.Fatalf("found %v by the new column", ids)
		}
	})
}

func TestContextEnds(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		coll := open(jobOptions())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantCode(t, coll.Create(ctx, newJob(1)), gcerrors.Canceled)
		wantCode(t, coll.Get(ctx, newJob(1)), gcerrors.Canceled)
		if err := coll.Query().Get(ctx).Next(ctx, docmap{}); gcerrors.Code(err) != gcerrors.Canceled {
			t.Fatalf("query: got %v", err)
		}
	})
}

// TestConcurrentGets: callers that share a statement do not share bytes, want
// different fields, and may leave.
func TestConcurrentGets(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		addJobs(t, coll, 20)
		gone, cancel := context.WithCancel(ctx)
		defer cancel()
		var wg sync.WaitGroup
		for c := range 64 {
			wg.Go(func() {
				for i := range 50 {
					want := newJob((c + i) % 21)
					got := &job{ID: want.ID}
					var err error
					switch {
					case c == 0 && i == 25:
						cancel()
					case c%8 == 1:
						err = coll.Get(gone, got, "due_sk")
						if gcerrors.Code(err) == gcerrors.Canceled {
							return
						}
					default:
						err = coll.Get(ctx, got)
					}
					if (c+i)%21 == 20 {
						if c > 0 && gcerrors.Code(err) != gcerrors.NotFound {
							t.Errorf("got %v, want NotFound", err)
						}
						continue
					}
					if err != nil || c%8 != 1 && c > 0 && (string(got.Data) != "small" || got.DueSK != want.DueSK) {
						t.Errorf("got %v, %v", got, err)
					}
					clear(got.Data)
				}
			})
		}
		wg.Wait()
	})
}
