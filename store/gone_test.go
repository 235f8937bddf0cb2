package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/relay"
)

// stands returns the partition of the due index in which a record stands.
func (l *lab) stands(t *testing.T, id string) string {
	t.Helper()
	doc := map[string]any{IDField: id}
	if err := l.coll.Get(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	pk, _ := doc["due_pk"].(string)
	return pk
}

// Only what waits for nothing but its removal stands apart from what is due, also when its due time
// stays the same.
func TestJobsThatGoStandApart(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		ctx, due, gone := t.Context(), duePK(shard("job-1", DueShards)), duePK(DueShards+shard("job-1", GoneShards))
		j, err := l.Create(ctx, l.NewJob(Job{ID: "job-1", Kind: "a.b", Policy: Policy{Retention: outboxGrace.Milliseconds(), Hooks: true}}, false, t0))
		check := func(what, want string, wantDue Time) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: error %v, want nil", what, err)
			}
			if got := l.stands(t, "job-1"); got != want || j.Due != wantDue {
				t.Errorf("%s: stands in %q, due %d; want %q, %d", what, got, j.Due, want, wantDue)
			}
			refs, err := l.Due(ctx, DueShards+shard("job-1", GoneShards), j.Due, "", 10)
			if err != nil || (len(refs) == 1) != (want == gone) {
				t.Errorf("%s: in the partition of removals are %v, error %v, want the job there: %t", what, refs, err, want == gone)
			}
		}
		check("queued", due, j.Due)
		j, err = l.RequestCancel(ctx, j.ID, "", t0)
		end := t0.Add(outboxGrace)
		check("cancelled, with a hook to call", due, end)
		j, err = l.ClearEffects(ctx, j, j.Outbox, t0+1)
		check("hook called", gone, end)
		j, err = l.Requeue(ctx, j.ID, t0+2)
		check("requeued", due, j.Due)
		j, err = l.RequestCancel(ctx, j.ID, "", t0)
		check("cancelled again", due, end)
		j, err = l.ClearEffects(ctx, j, j.Outbox, t0+3)
		check("hook called again", gone, end)
		j, err = l.MarkRemoving(ctx, j, end)
		check("its files are being removed", gone, end.Add(outboxGrace))
	})
}

// goneJobs stores n jobs whose retention has passed.
func (l *lab) goneJobs(t *testing.T, n int) []Job {
	t.Helper()
	list := l.jobs(n)
	for i := range list {
		list[i].Policy.Retention = 1
	}
	var have []Job
	for _, r := range l.CreateMany(t.Context(), list) {
		j, err := r.Job, r.Err
		if err == nil {
			j, err = l.RequestCancel(t.Context(), j.ID, "", t0)
		}
		if err != nil {
			t.Fatal(err)
		}
		have = append(have, j)
	}
	return have
}

// there counts the jobs that are stored.
func (l *lab) there(t *testing.T, have []Job) int {
	t.Helper()
	n := 0
	for _, j := range have {
		if _, err := l.Get(t.Context(), j.ID); err == nil {
			n++
		}
	}
	return n
}

func TestDeleteManyIsConditionalForEach(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		have := l.goneJobs(t, 250)
		if _, err := l.Requeue(t.Context(), have[7].ID, t0); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Delete(t.Context(), have[120]); err != nil {
			t.Fatal(err)
		}
		for i, d := range l.DeleteMany(t.Context(), slices.Insert(slices.Clone(have), 4, have[3])) { // one of them twice
			// Stores differ in whether what is absent counts as deleted.
			if want := i != 4 && i != 8; d.Err != nil || i != 121 && d.Gone != want {
				t.Errorf("deletion %d: gone %v, error %v; want %v", i, d.Gone, d.Err, want)
			}
		}
		if n := l.there(t, have); n != 1 || l.read(t, have[7].ID).State != Queued {
			t.Errorf("%d jobs are left, want the one that has changed", n)
		}
	})
}

// However the store refuses a list, or loses its answer, each job is deleted, and one that has
// changed is not.
func TestDeleteManyAgainstFaults(t *testing.T) {
	all := func(code gcerrors.ErrorCode) driver.ActionListError {
		return driver.ActionListError{{Index: -1, Err: relay.Error{Code: code}}}
	}
	for name, fault := range map[string]func(ctx context.Context, n int, acts []*driver.Action, next relay.Run) driver.ActionListError{
		"one error for all": func(ctx context.Context, _ int, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if len(acts) > 1 {
				return all(gcerrors.FailedPrecondition)
			}
			return next(ctx, acts)
		},
		"one invalid action": func(ctx context.Context, _ int, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if len(acts) > 1 {
				return all(gcerrors.InvalidArgument)
			}
			return next(ctx, acts)
		},
		"no answer": func(ctx context.Context, n int, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if n < 3 {
				return all(gcerrors.Unknown)
			}
			return next(ctx, acts)
		},
		"done, and no answer": func(ctx context.Context, n int, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if err := next(ctx, acts); n > 0 {
				return err
			}
			return allFail(acts, errors.New("reset by peer"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, l *lab) {
				have, n := l.goneJobs(t, 120), 0
				if _, err := l.Requeue(t.Context(), have[7].ID, t0); err != nil {
					t.Fatal(err)
				}
				l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
					defer func() { n++ }()
					return fault(ctx, n, acts, next)
				}
				results := l.DeleteMany(t.Context(), have)
				l.actions = nil
				for i, d := range results {
					if d.Err != nil || d.Gone != (i != 7) {
						t.Errorf("deletion %d: gone %v, error %v; want gone %v", i, d.Gone, d.Err, i != 7)
					}
				}
				if n := l.there(t, have); n != 1 {
					t.Errorf("%d jobs are left, want the one that has changed", n)
				}
			})
		})
	}
}

func TestDeleteManyFromAStoreThatIsAway(t *testing.T) {
	l := newLab(t, openMemory(t))
	have := l.goneJobs(t, 3)
	l.actions = func(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
		return allFail(acts, errors.New("no route to host"))
	}
	for i, d := range l.DeleteMany(t.Context(), have) {
		if d.Gone || !errors.Is(d.Err, ErrUnavailable) {
			t.Errorf("deletion %d: gone %v, error %v; want %v", i, d.Gone, d.Err, ErrUnavailable)
		}
	}
	l.actions = func(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
		return allFail(acts, relay.Error{Code: gcerrors.PermissionDenied})
	}
	for i, d := range l.DeleteMany(t.Context(), have) {
		if d.Gone || gcerrors.Code(d.Err) != gcerrors.PermissionDenied {
			t.Errorf("deletion %d: gone %v, error %v; want %v", i, d.Gone, d.Err, gcerrors.PermissionDenied)
		}
	}
	if got := fmt.Sprint(l.DeleteMany(t.Context(), nil)); got != "[]" {
		t.Errorf("deletions of no job: %s, want none", got)
	}
}
