package store

import "testing"

// A claim whose answer comes so late that its lease has run out meanwhile must not be made again: the attempt would
// carry the token of one that was lost, and a lease that had run out before it began.
func TestAClaimWhoseLeaseIsOverIsNotRepeated(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		ctx := t.Context()
		j := l.running(t, "job-1", "t")
		j, err := l.Finish(ctx, j, Finish{Token: "t", Now: t0, Outcome: OutcomeLost})
		if err != nil || j.State != Queued {
			t.Fatal(j.State, err)
		}
		_, err = l.Claim(ctx, j.ID, Claim{Token: "t", Now: t0})
		wantErr(t, err, ErrLeaseLost)
		if j, err = l.Claim(ctx, j.ID, Claim{Token: "u", Now: t0}); err != nil || j.State != Running {
			t.Error(j.State, err)
		}
	})
}
