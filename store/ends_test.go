package store

import (
	"fmt"
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

// Each attempt of a record has a number of its own, whatever a retry does to the count for the
// limits. Calls that share an entry share its number.
func TestARetryNumbersAttemptsOn(t *testing.T) {
	timing, now := Timing{}.withDefaults(), t0
	attempt := func(j Job, o Outcome) Job {
		t.Helper()
		now++
		token := fmt.Sprint(now)
		claimed, _, err := j.claim(timing, Claim{Token: token, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		next, _, err := claimed.finish(timing, Finish{Token: token, Now: now, Outcome: o, Error: "e"})
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	retry := func(j Job) Job {
		t.Helper()
		now++
		next, _, err := j.requeue(timing, fmt.Sprint(now), now)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	want := func(j Job, used int, numbers ...int) {
		t.Helper()
		var got []int
		for _, a := range j.Attempts {
			got = append(got, a.Number)
		}
		if !slices.Equal(got, numbers) || j.Attempt != used {
			t.Errorf("attempts = %v with %d used, want %v with %d used", got, j.Attempt, numbers, used)
		}
	}
	j := Job{ID: "job-1", Kind: "k", State: Queued, Policy: Policy{MaxAttempts: 2}}
	j = attempt(attempt(j, OutcomeError), OutcomeError)
	want(j, 2, 1, 2)
	j = attempt(attempt(retry(j), OutcomeContinued), OutcomeError)
	want(j, 1, 1, 2, 3)
	j = attempt(attempt(j, OutcomeSnoozed), OutcomeError)
	want(j, 2, 1, 2, 3, 4)
	if j.State != Failed {
		t.Errorf("state = %s after two attempts since the retry, want %s: the limit counts from the retry", j.State, Failed)
	}
	j = attempt(retry(j), OutcomeContinued)
	if j, _, err := j.requestCancel("", now); err != nil || j.State != Cancelled {
		t.Fatalf("cancel: state %s, error %v, want %s", j.State, err, Cancelled)
	} else {
		want(attempt(retry(j), OutcomeError), 1, 1, 2, 3, 4, 5, 6) // the fifth was cancelled while it waited
	}

	// An older version counted from 1 again.
	j.State, j.Attempt, j.Past, j.Attempts = Failed, 1, 0, []Attempt{{Number: 1}, {Number: 2}, {Number: 1}}
	want(attempt(retry(j), OutcomeError), 1, 1, 2, 1, 3)
}

// A cancellation that wins over a continuation drops the checkpoint that came with it, and with it
// the list of the files that the attempt wrote. They must not be left behind.
func TestFilesOfACheckpointThatACancellationDropsArePurged(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		ctx := t.Context()
		j := l.running(t, "job-1", "t")
		if _, err := l.RequestCancel(ctx, j.ID, "", t0); err != nil {
			t.Fatal(err)
		}
		j, err := l.Finish(ctx, j, Finish{
			Token: "t", Now: t0, Outcome: OutcomeContinued, Checkpoint: &Payload{Inline: []byte(`1`)},
			Open: []Output{{Name: "a.txt", Parts: []Blob{{Key: "jobs/job-1/a-t/a.txt", Size: 1}}}},
		})
		if err != nil || j.State != Cancelled || !slices.Contains(j.Outbox, EffectPurge) {
			t.Errorf("state %s, outbox %v, error %v, want %s with %s", j.State, j.Outbox, err, Cancelled, EffectPurge)
		}
	})
}
