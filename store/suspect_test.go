package store

import (
	"errors"
	"testing"
	"time"
)

// lose lets the lease of a running job run out.
func (l *lab) lose(t *testing.T, j Job) Job {
	t.Helper()
	look := AdvanceDue{Now: j.Lease.Until.Add(l.Timing().Skew), Delay: func(Job) time.Duration { return 10 * time.Second }}
	look.Now = max(look.Now, j.Due)
	j, looked, err := l.AdvanceDue(t.Context(), j, look)
	if err != nil || looked != ActionLost && looked != ActionGaveUp {
		t.Fatalf("look did %q (%v), want the attempt to be lost", looked, err)
	}
	return j
}

// A checkpoint starts the count of losses again, one saved with Continue too; a loss uses an
// attempt all the same.
func TestACheckpointClearsSuspicion(t *testing.T) {
	checkpoint := Payload{Inline: []byte(`1`)}
	saves := map[string]func(l *lab, j Job) (Job, error){
		"no checkpoint": func(_ *lab, j Job) (Job, error) { return j, nil },
		"checkpoint": func(l *lab, j Job) (Job, error) {
			return l.Heartbeat(t.Context(), j, Heartbeat{Token: j.Lease.Token, Now: j.Lease.Start, Checkpoint: &checkpoint, Saved: j.Saved + 1})
		},
		"heartbeat": func(l *lab, j Job) (Job, error) {
			return l.Heartbeat(t.Context(), j, Heartbeat{Token: j.Lease.Token, Now: j.Lease.Start})
		},
		"continue": func(l *lab, j Job) (Job, error) {
			f := Finish{Token: j.Lease.Token, Now: j.Lease.Start, Outcome: OutcomeContinued, Checkpoint: &checkpoint}
			if _, err := l.Finish(t.Context(), j, f); err != nil {
				return j, err
			}
			return l.Claim(t.Context(), j.ID, Claim{Token: j.Lease.Token + "+", Now: j.Lease.Start})
		},
	}
	for name, save := range saves {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, openMemory(t))
			policy := Policy{MaxAttempts: 5, MaxLost: 3}
			j, err := l.Create(t.Context(), l.NewJob(Job{ID: "job-1", Kind: "a.b", Policy: policy}, false, t0))
			if err != nil {
				t.Fatal(err)
			}
			now := t0
			for n := 1; j.Live(); n++ {
				j, err = l.Claim(t.Context(), j.ID, Claim{Token: string(rune('a' + n)), Now: now})
				if err != nil {
					t.Fatal(err)
				}
				if j, err = save(l, j); err != nil {
					t.Fatal(err)
				}
				j = l.lose(t, j)
				now = max(j.Due, j.At)
			}
			want := policy.MaxAttempts
			if name == "no checkpoint" || name == "heartbeat" {
				want = policy.MaxLost
			}
			if j.State != Failed || j.Attempt != want || j.Lost != want {
				t.Errorf("state %s after %d attempts, %d lost; want failed after %d", j.State, j.Attempt, j.Lost, want)
			}
			if j, err = l.Requeue(t.Context(), j.ID, now); err != nil || j.Losses() != 0 || j.LastChance() {
				t.Errorf("%d losses after a retry (%v), want 0", j.Losses(), err)
			}
		})
	}
}

// Who claims a job on its last chance is asked whether it may have one more; the record stays as it
// is if not.
func TestAClaimOfAJobOnItsLastChanceIsAsked(t *testing.T) {
	for _, c := range []struct {
		limit, losses, cleared int
		asked                  bool
	}{
		{limit: 3, losses: 0}, {limit: 3, losses: 1}, {limit: 3, losses: 2, asked: true}, {limit: 3, losses: 4, cleared: 3},
		{limit: 2, losses: 1, asked: true}, {limit: 1, losses: 0}, {limit: 0, losses: 9},
		{limit: 3, losses: 0, cleared: 2}, // an older version retried it
	} {
		for _, admits := range []bool{true, false} {
			l := newLab(t, openMemory(t))
			j, err := l.Create(t.Context(), l.NewJob(Job{
				ID: "job-1", Kind: "a.b", Policy: Policy{MaxLost: c.limit}, Lost: c.losses, Cleared: c.cleared,
			}, false, t0))
			if err != nil {
				t.Fatal(err)
			}
			asked := false
			got, err := l.Claim(t.Context(), j.ID, Claim{Token: "t", Now: t0, Admits: func() bool { asked = true; return admits }})
			if asked != c.asked {
				t.Errorf("%+v: asked %v, want %v", c, asked, c.asked)
			}
			refused := asked && !admits
			if errors.Is(err, ErrSuspect) != refused || refused && (got.Write != j.Write || got.Attempt != 0) {
				t.Errorf("%+v: %v, state %s, attempt %d; want it refused: %v, and then unchanged", c, err, got.State, got.Attempt, refused)
			}
		}
	}
}
