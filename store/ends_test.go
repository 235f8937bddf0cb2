package store

import (
	"slices"
	"testing"
)

// What was carried out for one end of a job is not taken out of the outbox of its next end, also if
// both ends fall into one millisecond.
func TestAnOutboxBelongsToOneEnd(t *testing.T) {
	for name, acts := range map[string]func(l *lab, first Job, now Time) error{
		"done": func(l *lab, first Job, now Time) error {
			_, err := l.ClearEffects(t.Context(), first, []Effect{EffectHooks}, now)
			return err
		},
		"postpone": func(l *lab, first Job, now Time) error {
			_, err := l.Postpone(t.Context(), first, now.Add(outboxGrace)) // when it is due
			return err
		},
	} {
		for what, second := range map[string]Time{"in one millisecond": t0, "later": t0 + 500} {
			t.Run(name+" "+what, func(t *testing.T) {
				l := newLab(t, openMemory(t))
				j, err := l.Create(t.Context(), l.NewJob(Job{ID: "job-1", Kind: "k", Policy: Policy{Hooks: true}}, false, t0))
				if err != nil {
					t.Fatal(err)
				}
				first, err := l.RequestCancel(t.Context(), j.ID, "", t0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := l.Requeue(t.Context(), j.ID, second); err != nil {
					t.Fatal(err)
				}
				want, err := l.RequestCancel(t.Context(), j.ID, "", second)
				if err != nil {
					t.Fatal(err)
				}
				if err := acts(l, first, second); err != nil {
					t.Errorf("%v, want no error", err)
				}
				got, err := l.Get(t.Context(), j.ID)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got.Outbox, want.Outbox) || got.Due != want.Due || got.Resends != want.Resends {
					t.Errorf("outbox %v, due %d, resends %d; want %v, %d, %d: that of the second end",
						got.Outbox, got.Due, got.Resends, want.Outbox, want.Due, want.Resends)
				}
			})
		}
	}
}

// A job that was removed and created again under its key is another job, though neither was ever
// retried.
func TestAnOutboxBelongsToOneJob(t *testing.T) {
	l := newLab(t, openMemory(t))
	end := func() Job {
		j, err := l.Create(t.Context(), l.NewJob(Job{ID: "job-1", Kind: "k", Policy: Policy{Hooks: true}}, false, t0))
		if err == nil {
			j, err = l.RequestCancel(t.Context(), j.ID, "", t0)
		}
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	first := end()
	if gone, err := l.Delete(t.Context(), first); !gone || err != nil {
		t.Fatalf("removed %t, %v, want it to be removed", gone, err)
	}
	want := end()
	if _, err := l.ClearEffects(t.Context(), first, []Effect{EffectHooks}, t0); err != nil {
		t.Errorf("%v, want no error", err)
	}
	if got := l.read(t, "job-1"); !slices.Equal(got.Outbox, want.Outbox) || got.SameEnd(first) {
		t.Errorf("outbox %v, the same end as before %t; want %v, and another", got.Outbox, got.SameEnd(first), want.Outbox)
	}
}

// What a job's earlier attempts have counted does not count for those after a retry: they are a
// fresh set.
func TestARetryCountsFromTheBeginning(t *testing.T) {
	j := Job{
		ID: "job-1", Kind: "k", State: Failed, Policy: Policy{MaxLost: 3}, Run: 9, Attempt: 8, Errors: 1, Timeouts: 2, Lost: 5,
		Cleared: 2, Idle: 4,
	}
	next, _, err := j.requeue(Timing{}.withDefaults(), "op", t0)
	if err != nil {
		t.Fatal(err)
	}
	if n := next.Attempt + next.Errors + next.Timeouts + next.Lost + next.Cleared + next.Idle; n != 0 {
		t.Errorf("after a retry %+v, want no attempt, loss or idle call to be counted", next)
	}
	if next.Lost = 3; !next.Exhausted() {
		t.Errorf("%d losses count, want 3: a checkpoint of the earlier attempts clears none of them", next.Losses())
	}
}
