package store

import (
	"reflect"
	"testing"
	"time"
)

// Whatever an attempt writes while it runs extends its lease.
func TestEachWriteOfAnAttemptExtendsItsLease(t *testing.T) {
	for name, k := range map[string]Heartbeat{
		"heartbeat":  {},
		"progress":   {Progress: &Progress{Done: 1}},
		"checkpoint": {Checkpoint: &Payload{Inline: []byte(`1`)}, Saved: 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, openMemory(t))
			j := l.running(t, "job-1", "t1")
			k.Token, k.Now = "t1", t0.Add(10*time.Second)
			got, err := l.Heartbeat(t.Context(), j, k)
			if want := k.Now.Add(l.Timing().Lease); err != nil || got.Lease.Until != want {
				t.Errorf("lease until %d (%v), want %d", got.Lease.Until, err, want)
			}
		})
	}
}

// A cancellation that was requested counts also if the attempt did not live to see it.
func TestACancelledJobWhoseAttemptIsLostIsCancelled(t *testing.T) {
	l := newLab(t, openMemory(t))
	j := l.running(t, "job-1", "t1")
	j, err := l.RequestCancel(t.Context(), j.ID, "enough", t0+1)
	if err != nil {
		t.Fatal(err)
	}
	look := AdvanceDue{Now: t0.Add(time.Hour), Delay: func(Job) time.Duration { return 0 }}
	j, looked, err := l.AdvanceDue(t.Context(), j, look)
	if err != nil || looked != ActionGaveUp || j.State != Cancelled || j.Attempts[0].Outcome != OutcomeCancelled || j.CancelReason != "enough" {
		t.Errorf("look did %q (%v), state %s, reason %q; want it to end as cancelled: enough", looked, err, j.State, j.CancelReason)
	}
}

// A checkpoint that is saved with Continue is counted like any other: the next attempt numbers its
// own from there.
func TestACheckpointOfContinueIsCounted(t *testing.T) {
	one := Payload{Inline: []byte(`1`)}
	for name, c := range map[string]struct {
		f    Finish
		want int
	}{
		"with a checkpoint":    {Finish{Checkpoint: &one}, 1},
		"without":              {Finish{}, 0},
		"after a pause":        {Finish{Checkpoint: &one, Delay: time.Minute}, 1},
		"without, and a pause": {Finish{Delay: time.Minute}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, openMemory(t))
			j := l.running(t, "job-1", "t1")
			c.f.Token, c.f.Now, c.f.Outcome = "t1", t0+1, OutcomeContinued
			j, err := l.Finish(t.Context(), j, c.f)
			if err != nil || j.Saved != c.want || j.Checkpoint.IsZero() != (c.want == 0) {
				t.Errorf("%d checkpoints saved (%v), want %d", j.Saved, err, c.want)
			}
		})
	}
}

// A write that was held up does not bring back an older report.
func TestProgressGoesForward(t *testing.T) {
	l := newLab(t, openMemory(t))
	older, newer := &Progress{Done: 1, At: 5}, &Progress{Done: 2, At: 6}
	for _, c := range []struct{ have, put, want *Progress }{
		{nil, nil, nil}, {nil, older, older}, {older, nil, older}, {older, newer, newer}, {newer, older, newer}, {older, &Progress{Done: 3, At: 5}, &Progress{Done: 3, At: 5}},
	} {
		j := Job{ID: "a", State: Running, Progress: c.have, Lease: &Lease{Token: "t"}}
		kept, _, err := j.heartbeat(l.Timing(), Heartbeat{Token: "t", Now: t0, Progress: c.put})
		ended, _, endErr := j.finish(l.Timing(), Finish{Token: "t", Now: t0, Outcome: OutcomeSuccess, Progress: c.put})
		if err != nil || endErr != nil || !reflect.DeepEqual(kept.Progress, c.want) || !reflect.DeepEqual(ended.Progress, c.want) {
			t.Errorf("%+v after %+v: a heartbeat leaves %+v (%v), the end %+v (%v); want %+v",
				c.put, c.have, kept.Progress, err, ended.Progress, endErr, c.want)
		}
	}
}
