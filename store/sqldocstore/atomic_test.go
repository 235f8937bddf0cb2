package sqldocstore

import (
	"errors"
	"testing"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
)

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
