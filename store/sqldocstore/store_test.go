package sqldocstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
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
		if err == io.EOF {
			return ids
		}
		must(t, err)
		ids = append(ids, d["id"].(string))
	}
}

func TestJobRoundTrip(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		j := newJob(1)
		j.Data = []byte{0, 1, 0xff}
		must(t, coll.Create(ctx, j))
		got := &job{ID: j.ID}
		must(t, coll.Get(ctx, got))
		if fmt.Sprint(got) != fmt.Sprint(j) {
			t.Fatalf("got %v, want %v", got, j)
		}
		j.DuePK, j.DueSK, j.Data = "", "", []byte{}
		must(t, coll.Replace(ctx, j))
		m := docmap{"id": j.ID}
		must(t, coll.Get(ctx, m))
		if _, ok := m["due_pk"]; ok || m["rev"] != j.Rev {
			t.Fatalf("got %v: due_pk was removed, rev is %v", m, j.Rev)
		}
		if b, ok := m["data"].([]byte); !ok || b == nil || len(b) != 0 {
			t.Fatalf("data: got %#v, want an empty []byte", m["data"])
		}
		part := docmap{"id": j.ID}
		must(t, coll.Get(ctx, part, "list_pk"))
		if len(part) != 3 || part["list_pk"] != j.ListPK { // with id and rev
			t.Fatalf("got %v, want list_pk alone", part)
		}
	})
}

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

func TestAtomicWritesGiveRevisions(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		a, b, c, d := newJob(1), newJob(2), newJob(3), newJob(4)
		must(t, coll.Actions().Create(a).Create(b).Create(d).Do(ctx))
		old := b.Rev
		must(t, coll.Actions().AtomicWrites().Replace(a).Update(b, docstore.Mods{"due_pk": "new"}).Put(c).Delete(d).Do(ctx))
		if b.Rev == old {
			t.Fatal("Update left the revision as it was")
		}
		for _, j := range []*job{a, b, c} {
			got := &job{ID: j.ID}
			must(t, coll.Get(ctx, got))
			if got.Rev != j.Rev {
				t.Fatalf("%s: stored %v, document %v", j.ID, got.Rev, j.Rev)
			}
			must(t, coll.Replace(ctx, j))
		}
		wantCode(t, coll.Get(ctx, &job{ID: d.ID}), gcerrors.NotFound)
	})
}

func TestAtomicWritesRollBack(t *testing.T) {
	type odd struct {
		ID  string `docstore:"id"`
		Rev any    `docstore:"rev"`
		Bad chan int
	}
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		have := newJob(1)
		must(t, coll.Create(ctx, have))
		stale := *have
		must(t, coll.Replace(ctx, have))
		for name, bad := range map[string]func(*docstore.ActionList){
			"create exists": func(l *docstore.ActionList) { l.Create(newJob(1)) },
			"stale":         func(l *docstore.ActionList) { l.Replace(&stale) },
			"stale delete":  func(l *docstore.ActionList) { l.Delete(&stale) },
			"missing":       func(l *docstore.ActionList) { l.Update(newJob(7), docstore.Mods{"due_pk": "x"}) },
			"cannot encode": func(l *docstore.ActionList) { l.Put(&odd{ID: "odd"}) },
			"cannot add":    func(l *docstore.ActionList) { l.Update(have, docstore.Mods{"due_pk": docstore.Increment(1)}) },
		} {
			created, auto := newJob(2), &job{}
			l := coll.Actions().AtomicWrites().Create(created).Create(auto)
			bad(l)
			l.Put(newJob(3))
			err := l.Do(ctx)
			var list docstore.ActionListError
			if !errors.As(err, &list) || len(list) != 4 {
				t.Fatalf("%s: got %v, want an error for each of 4", name, err)
			}
			if created.Rev != nil {
				t.Errorf("%s: a write that was rolled back set the revision", name)
			}
			for _, id := range []string{created.ID, auto.ID, newJob(3).ID} {
				if err := coll.Get(ctx, &job{ID: id}); gcerrors.Code(err) != gcerrors.NotFound {
					t.Errorf("%s: %q is there: %v", name, id, err)
				}
			}
		}
		must(t, coll.Replace(ctx, have)) // untouched
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

func TestBytesAreNotShared(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		data, other := []byte("data"), []byte("other")
		must(t, coll.Create(ctx, docmap{"id": "a", "data": data, "other": other}))
		data[0], other[0] = 'X', 'X'
		for range 2 {
			got := docmap{"id": "a"}
			must(t, coll.Get(ctx, got))
			if fmt.Sprintf("%s %s", got["data"], got["other"]) != "data other" {
				t.Fatalf("got %s %s", got["data"], got["other"])
			}
			got["data"].([]byte)[0], got["other"].([]byte)[0] = 'Y', 'Y'
		}
	})
}

func TestUnknownFields(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		must(t, coll.Create(ctx, docmap{"id": "a", "rev": nil, "due_pk": "p", "newer": 1}))
		wantCode(t, coll.Get(ctx, &job{ID: "a"}), gcerrors.InvalidArgument) // as every driver
		got := &job{ID: "a"}
		must(t, coll.Get(ctx, got, "due_pk", "rev"))
		if got.DuePK != "p" || got.Rev == nil {
			t.Fatalf("got %v", got)
		}
		must(t, coll.Update(ctx, got, docstore.Mods{"due_pk": "q"}))
		m := docmap{"id": "a"}
		must(t, coll.Get(ctx, m))
		if m["newer"] != int64(1) || m["due_pk"] != "q" {
			t.Fatalf("got %v: an Update lost a field", m)
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

func TestBadDocuments(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		for _, d := range []docmap{
			{"id": 1},
			{"id": "nul\x00"},
			{"id": "not UTF-8 \xff"},
			{"id": "a", "due_pk": "nul\x00"},
			{"id": "a", "due_pk": 1},
			{"id": "a", "data": "text"},
		} {
			wantCode(t, coll.Put(ctx, d), gcerrors.InvalidArgument)
		}
		must(t, coll.Put(ctx, docmap{"id": "quote \" \\ \t é \u2028"}))
		l := coll.Actions().Get(docmap{"id": "quote \" \\ \t é \u2028"}).Get(docmap{"id": "none"})
		var list docstore.ActionListError
		if err := l.Do(ctx); !errors.As(err, &list) || len(list) != 1 || list[0].Index != 1 {
			t.Fatalf("got %v, want NotFound of the second", err)
		}
		for _, m := range []docstore.Mods{{"id": "b"}, {"rev": 1}, {"due_pk": 1}, {"due_pk.x": "y"}} {
			wantCode(t, coll.Update(ctx, docmap{"id": "a"}, m), gcerrors.InvalidArgument)
		}
	})
}

func TestNestedMods(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(Options{})
		must(t, coll.Create(ctx, docmap{"id": "a", "m": docmap{"x": 1, "y": "s"}, "s": "str"}))
		must(t, coll.Update(ctx, docmap{"id": "a"}, docstore.Mods{
			"m.x": docstore.Increment(2), "m.y": nil, "m.z": true, "new.deep.er": 1, "no.such": nil}))
		got := docmap{"id": "a"}
		must(t, coll.Get(ctx, got))
		want := docmap{"id": "a", "s": "str", "m": docmap{"x": int64(3), "z": true}, "new": docmap{"deep": docmap{"er": int64(1)}}}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		wantCode(t, coll.Update(ctx, docmap{"id": "a"}, docstore.Mods{"s.x": 1}), gcerrors.InvalidArgument)
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
