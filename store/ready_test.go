package store

import (
	"testing"
	"time"
)

// Ready is when a worker could first have taken the job, however it then came to be taken: figures
// of how long jobs wait for workers count from it.
func TestReadyIsWhenAWorkerCouldTakeTheJob(t *testing.T) {
	timing := Timing{}.withDefaults()
	at := t0.Add(time.Hour)
	check := func(what string, j Job, want Time) {
		t.Helper()
		if j.Ready != want {
			t.Errorf("%s: %d ms after t0, want %d", what, j.Ready-t0, want-t0)
		}
	}
	claim := func(j Job, now Time) Job {
		t.Helper()
		next, _, err := j.claim(timing, Claim{Token: "t", Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	j := Job{ID: "j", Kind: "a"}.enter(timing, false, t0)
	check("at once", j, t0)
	check("claimed", claim(j, t0.Add(time.Minute)), t0)

	scheduled := Job{ID: "j", Kind: "a", At: at}.enter(timing, false, t0)
	check("scheduled", scheduled, at)
	check("claimed by a message that was delayed", claim(scheduled, at.Add(time.Second)), at)
	started, _, err := scheduled.advanceDue(timing, AdvanceDue{Now: scheduled.Due.Add(time.Minute)})
	if err != nil || started.State != Queued {
		t.Fatal(started.State, err)
	}
	check("started by a late sweep", started, at)
	resent, _, err := started.advanceDue(timing, AdvanceDue{Now: started.Due})
	if err != nil {
		t.Fatal(err)
	}
	check("sent again", resent, at)

	held := Job{ID: "j", Kind: "a"}.enter(timing, true, t0)
	released, _, err := held.release(timing, at)
	if err != nil {
		t.Fatal(err)
	}
	check("released", released, at)

	running := claim(j, t0)
	for _, c := range []struct {
		outcome Outcome
		want    Time
	}{{OutcomeError, at.Add(time.Minute)}, {OutcomeSnoozed, at.Add(time.Minute)}, {OutcomeHandBack, at}} {
		next, _, err := running.finish(timing, Finish{Token: "t", Now: at, Outcome: c.outcome, Delay: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		check(string(c.outcome), next, c.want)
	}
}
