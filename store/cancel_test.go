package store

import (
	"slices"
	"testing"
)

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
