package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/relay"
)

// A claim whose answer comes so late that its lease has run out meanwhile must not be made again:
// the attempt would carry the token of one that was lost, and a lease that had run out before it
// began.
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

// A store that goes away while claims that lost a race are tried again is waited for once, not once
// a claim: those that were claimed with them hold leases that run out meanwhile.
func TestLostRacesOfManyClaimsWaitOnceForAStoreThatIsAway(t *testing.T) {
	l := newLab(t, openMemory(t))
	list := l.jobs(60)
	l.CreateMany(t.Context(), list)
	ids, claims := make([]string, len(list)), make([]Claim, len(list))
	for i := range list {
		ids[i], claims[i] = list[i].ID, Claim{Token: list[i].ID, Now: t0}
	}
	away := false
	l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		switch {
		case away:
			return allFail(acts, errors.New("no route to host"))
		case acts[0].Kind != driver.Update:
			return next(ctx, acts)
		}
		away = true
		return allFail(acts, relay.Error{Code: gcerrors.FailedPrecondition})
	}
	for i, r := range l.ClaimMany(t.Context(), ids, claims) {
		if !errors.Is(r.Err, ErrUnavailable) || strings.Count(r.Err.Error(), "job-") != 1 {
			t.Errorf("claim %d: error %v, want %v that names one job", i, r.Err, ErrUnavailable)
		}
	}
	if l.paused > l.Timing().Lease {
		t.Errorf("waited %v, want at most a lease of %v", l.paused, l.Timing().Lease)
	}
}

// So are creations that are settled one by one.
func TestCreationsOneByOneWaitOnceForAStoreThatIsAway(t *testing.T) {
	l := newLab(t, openMemory(t))
	away := false
	l.actions = func(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
		if away {
			return allFail(acts, errors.New("no route to host"))
		}
		away = true
		return driver.ActionListError{{Index: -1, Err: relay.Error{Code: gcerrors.InvalidArgument}}}
	}
	for i, r := range l.CreateMany(t.Context(), l.jobs(60)) {
		if !errors.Is(r.Err, ErrUnavailable) || strings.Count(r.Err.Error(), "job-") != 1 {
			t.Errorf("create %d: error %v, want %v that names one job", i, r.Err, ErrUnavailable)
		}
	}
	if l.paused > time.Minute {
		t.Errorf("waited %v, want at most 1m", l.paused)
	}
}
