package store

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestAHeldJobWaitsForItsRelease(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		ctx := t.Context()
		for id, at := range map[string]Time{"now": 0, "later": t0 + 3_600_000} {
			j, err := l.Create(ctx, l.NewJob(Job{ID: id, Kind: "a.b", At: at}, true, t0))
			if err != nil || j.State != Held || j.Due != 0 {
				t.Fatalf("%+v, error %v, want a held job that is never due", j, err)
			}
			_, err = l.Claim(ctx, id, Claim{Token: "t", Now: t0})
			wantErr(t, err, ErrMove)
			want := map[string]State{"now": Queued, "later": Scheduled}[id]
			for range 2 {
				if j, err = l.Release(ctx, id, t0); err != nil || j.State != want || j.Due == 0 {
					t.Errorf("release of %s: %+v, error %v, want %s with a due time", id, j, err, want)
				}
			}
		}
		j, err := l.RequestCancel(ctx, "later", "", t0)
		if err != nil || j.State != Cancelled {
			t.Fatal(err)
		}
		_, err = l.Release(ctx, "later", t0)
		wantErr(t, err, ErrMove)
	})
}

func TestAJobIsRetriedOnlyIfItFailedOrWasCancelled(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		ctx := t.Context()
		l.queued(t, "queued")
		_, err := l.Requeue(ctx, "queued", t0)
		wantErr(t, err, ErrMove)
		j := l.running(t, "done", "t")
		if _, err := l.Finish(ctx, j, Finish{Token: "t", Now: t0, Outcome: OutcomeSuccess}); err != nil {
			t.Fatal(err)
		}
		_, err = l.Requeue(ctx, "done", t0)
		wantErr(t, err, ErrMove)
		_, err = l.Requeue(ctx, "nobody", t0)
		wantErr(t, err, ErrNotFound)

		j = l.running(t, "failed", "t")
		if j, err = l.Finish(ctx, j, Finish{Token: "t", Now: t0, Outcome: OutcomeError, Error: "e", Permanent: true}); err != nil || j.State != Failed {
			t.Fatal(j.State, err)
		}
		if j, err = l.Requeue(ctx, "failed", t0+1); err != nil || j.State != Queued || j.Attempt != 0 || j.Errors != 0 || j.Ended != 0 {
			t.Errorf("requeue: %+v, error %v, want a queued job with fresh attempts", j, err)
		}
	})
}

func TestARetentionThatHasPassedEndsInRemoval(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		ctx := t.Context()
		j, err := l.Create(ctx, l.NewJob(Job{ID: "job-1", Kind: "a.b", Policy: Policy{Retention: 1000}}, true, t0))
		if err != nil {
			t.Fatal(err)
		}
		if j, err = l.RequestCancel(ctx, j.ID, "", t0); err != nil {
			t.Fatal(err)
		}
		if j, err = l.MarkRemoving(ctx, j, t0+999); err != nil || len(j.Outbox) != 0 {
			t.Errorf("marked before its retention has passed: %+v, error %v, want no effect", j, err)
		}
		if j, err = l.MarkRemoving(ctx, j, t0+1000); err != nil || !slices.Contains(j.Outbox, EffectRemove) {
			t.Errorf("marked: %+v, error %v, want %s", j, err, EffectRemove)
		}
		_, err = l.Requeue(ctx, j.ID, t0+1000)
		wantErr(t, err, ErrMove)
		stale := j
		if j, err = l.Postpone(ctx, j, j.Due); err != nil || j.Due <= stale.Due {
			t.Errorf("postponed: %+v, error %v, want it due after %d", j, err, stale.Due)
		}
		if gone, err := l.Delete(ctx, stale); gone || err != nil {
			t.Errorf("delete of a stale record = %v, %v, want false", gone, err)
		}
		if gone, err := l.Delete(ctx, j); !gone || err != nil {
			t.Errorf("delete = %v, %v, want true", gone, err)
		}
		_, err = l.Get(ctx, j.ID)
		wantErr(t, err, ErrNotFound)
	})
}

func TestAnAttemptOfARemovedJobHasLostItsLease(t *testing.T) {
	l := newLab(t, openMemory(t))
	j := l.running(t, "job-1", "t")
	if gone, err := l.Delete(t.Context(), j); !gone || err != nil {
		t.Fatal(err)
	}
	_, err := l.Heartbeat(t.Context(), j, Heartbeat{Token: "t", Now: t0})
	wantErr(t, err, ErrLeaseLost)
	_, err = l.Finish(t.Context(), j, Finish{Token: "t", Now: t0, Outcome: OutcomeSuccess})
	wantErr(t, err, ErrLeaseLost)
}

func TestOneOutboxEffectAfterTheOther(t *testing.T) {
	l := newLab(t, openMemory(t))
	j := l.running(t, "job-1", "t")
	j, err := l.Finish(t.Context(), j, Finish{Token: "t", Now: t0, Outcome: OutcomeSuccess, Dirty: true, Hooks: true})
	if err != nil || !slices.Equal(j.Outbox, []Effect{EffectPurge, EffectHooks}) {
		t.Fatal(j.Outbox, err)
	}
	if j, err = l.ClearEffects(t.Context(), j, []Effect{EffectPurge}, t0+1); err != nil || j.Due != t0+1+60_000 {
		t.Errorf("after the first effect: %+v, error %v, want it due at %d", j, err, t0+1+60_000)
	}
	for range 2 {
		if j, err = l.ClearEffects(t.Context(), j, []Effect{EffectHooks}, t0+2); err != nil || j.Due != 0 || len(j.Outbox) != 0 {
			t.Errorf("after the last effect: %+v, error %v, want no outbox and no due time", j, err)
		}
	}
}

func TestTheIndexMovesOnlyAtCreationAndEndOfAPlainJob(t *testing.T) {
	l := newLab(t, openMemory(t))
	j := l.queued(t, "job-1")
	due := j.Due
	j, err := l.Claim(t.Context(), "job-1", Claim{Token: "t", Now: t0 + 50_000})
	if err != nil || j.Due != due {
		t.Errorf("the claim moved the due time by %v, error %v, want it unmoved", j.Due.Sub(due), err)
	}
	early := t0 + 60_000 // a checkpoint, for instance
	if j, err = l.Heartbeat(t.Context(), j, Heartbeat{Token: "t", Now: early}); err != nil || j.Due != due {
		t.Errorf("a write in the first third of the lease moved the due time by %v, error %v, want it unmoved", j.Due.Sub(due), err)
	}
}

// With each heartbeat a job is due when sweep may end its lease, or earlier but after the next
// heartbeat comes. Every second heartbeat moves the due time.
func TestADeathIsNoticedWhenTheLeaseHasRunOut(t *testing.T) {
	for _, timing := range []Timing{{}, {Lease: 10 * time.Second, Skew: 250 * time.Millisecond}, {Lease: 100 * time.Millisecond}, {Grace: time.Second}} {
		timing = timing.withDefaults()
		t.Run(fmt.Sprintf("lease %v, grace %v", timing.Lease, timing.Grace), func(t *testing.T) {
			j := Job{ID: "job-1", State: Queued, Due: t0.Add(timing.Grace)}
			j, _, err := j.claim(timing, Claim{Token: "t", Now: t0 + 7})
			if err != nil {
				t.Fatal(err)
			}
			if latest := (t0 + 7).Add(max(timing.Grace, timing.Lease+timing.Skew)); j.Due > latest {
				t.Errorf("after the claim the job is due after %v, want %v at most", j.Due.Sub(t0), latest.Sub(t0))
			}
			moves, beats, every := 0, 0, timing.Heartbeat()
			for at := (t0 + 7).Add(every); beats < 100; at = at.Add(every) {
				before := j.Due
				if j, _, err = j.heartbeat(timing, Heartbeat{Token: "t", Now: at}); err != nil {
					t.Fatal(err)
				}
				if earliest, latest := at.Add(every*4/3), at.Add(timing.Lease+timing.Skew); j.Due < earliest || j.Due > latest {
					t.Fatalf("heartbeat %d, at %v: due at %v, want %v to %v", beats, at.Sub(t0), j.Due.Sub(t0), earliest.Sub(t0), latest.Sub(t0))
				}
				if beats++; j.Due != before {
					moves++
				}
			}
			if moves > beats/2+1 {
				t.Errorf("%d of %d heartbeats moved the due time, want every second at most", moves, beats)
			}
		})
	}
}

// A record that lets go of a blob must say that there are files to remove: nothing else remembers
// them.
func TestABlobThatTheRecordLetsGoMakesItDirty(t *testing.T) {
	timing := Timing{}.withDefaults()
	blob := func(key string) Payload { return Payload{Blob: &Blob{Key: key, Size: 1}} }
	part := func(key string) []Output { return []Output{{Name: "a", Parts: []Blob{{Key: key}}}} }
	j := Job{ID: "job-1", State: Running, Lease: &Lease{Token: "t"}, Args: blob("args")}

	saved, _, err := j.heartbeat(timing, Heartbeat{Token: "t", Now: t0, Checkpoint: new(blob("c1")), Open: part("p1"), Saved: 1})
	if err != nil || saved.Dirty {
		t.Fatalf("after the first checkpoint: dirty %v, error %v, want false", saved.Dirty, err)
	}
	for name, c := range map[string]struct {
		next  func() (Job, bool, error)
		dirty bool
	}{
		"another checkpoint": {func() (Job, bool, error) {
			return saved.heartbeat(timing, Heartbeat{Token: "t", Now: t0, Checkpoint: new(blob("c2")), Open: part("p1"), Saved: 2})
		}, true},
		"the same checkpoint": {func() (Job, bool, error) {
			return saved.heartbeat(timing, Heartbeat{Token: "t", Now: t0, Checkpoint: new(blob("c1")), Open: part("p1"), Saved: 2})
		}, false},
		"other outputs": {func() (Job, bool, error) {
			return saved.heartbeat(timing, Heartbeat{Token: "t", Now: t0, Checkpoint: new(blob("c1")), Open: part("p2"), Saved: 2})
		}, true},
		"heartbeat": {func() (Job, bool, error) { return saved.heartbeat(timing, Heartbeat{Token: "t", Now: t0}) }, false},
		"continue": {func() (Job, bool, error) {
			return saved.finish(timing, Finish{Token: "t", Now: t0, Outcome: OutcomeContinued, Checkpoint: new(blob("c2"))})
		}, true},
		"success": {func() (Job, bool, error) {
			return saved.finish(timing, Finish{Token: "t", Now: t0, Outcome: OutcomeSuccess, Outputs: part("p1")})
		}, true},
		"failure keeps the checkpoint": {func() (Job, bool, error) {
			return saved.finish(timing, Finish{Token: "t", Now: t0, Outcome: OutcomeError, Permanent: true})
		}, false},
		"success without a checkpoint": {func() (Job, bool, error) {
			return j.finish(timing, Finish{Token: "t", Now: t0, Outcome: OutcomeSuccess, Outputs: part("p1")})
		}, false},
	} {
		next, _, err := c.next()
		if err != nil || next.Dirty != c.dirty || next.State.Final() && slices.Contains(next.Outbox, EffectPurge) != c.dirty {
			t.Errorf("%s: dirty %v, outbox %v, error %v, want dirty %v", name, next.Dirty, next.Outbox, err, c.dirty)
		}
	}
}

func TestAttemptsOfALongJobShareAnEntry(t *testing.T) {
	l := newLab(t, openMemory(t))
	l.queued(t, "job-1")
	now := t0
	for i := range 30 {
		now = now.Add(time.Second)
		j, err := l.Claim(t.Context(), "job-1", Claim{Token: string(rune('A' + i)), Now: now})
		if err != nil {
			t.Fatal(err)
		}
		o := []Outcome{OutcomeContinued, OutcomeSnoozed, OutcomeHandBack}[i%3]
		if j, err = l.Finish(t.Context(), j, Finish{Token: string(rune('A' + i)), Now: now, Outcome: o, Delay: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		if j.Attempt != 0 || len(j.Attempts) != 1 || j.Attempts[0].Start != t0+1000 {
			t.Fatalf("call %d: %+v, want one attempt that began with the first call", i, j)
		}
		now = now.Add(time.Second)
	}
}

func TestAnAttemptThatSweepEndedAsLostHasLostItsLease(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		j := l.running(t, "job-1", "t")
		look := AdvanceDue{Now: t0 + 3_600_000, Delay: func(Job) time.Duration { return 0 }}
		if _, looked, err := l.AdvanceDue(t.Context(), j, look); err != nil || looked != ActionLost {
			t.Fatal(looked, err)
		}
		for _, o := range []Outcome{OutcomeSuccess, OutcomeError, OutcomeContinued} {
			_, err := l.Finish(t.Context(), j, Finish{Token: "t", Now: t0 + 3_600_000, Outcome: o})
			wantErr(t, err, ErrLeaseLost)
		}
	})
}
