package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/relay"
)

// jobs makes n jobs that are not stored yet.
func (l *lab) jobs(n int) []Job {
	list := make([]Job, n)
	for i := range list {
		list[i] = l.NewJob(Job{ID: fmt.Sprintf("job-%04d", i), Kind: "a.b"}, false, t0+Time(i))
	}
	return list
}

func TestCreateManyStoresAllAndReportsEach(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		list := l.jobs(250)
		there := l.queued(t, list[120].ID)
		list[7].Trace = map[string]string{"tracestate": strings.Repeat("x", MaxRecord)}
		for i, r := range l.CreateMany(t.Context(), list) {
			switch {
			case i == 7:
				if !errors.Is(r.Err, ErrTooLarge) {
					t.Errorf("job 7: error %v, want %v", r.Err, ErrTooLarge)
				}
			case i == 120:
				if !errors.Is(r.Err, ErrExists) || r.Job.Nonce != there.Nonce {
					t.Errorf("job 120: error %v, %+v, want %v and the stored job", r.Err, r.Job, ErrExists)
				}
			case r.Err != nil || r.Job.ID != list[i].ID || !r.Job.Stored():
				t.Fatalf("job %d: error %v, %+v, want it stored", i, r.Err, r.Job)
			}
		}
		for i, r := range l.GetMany(t.Context(), []string{"job-0000", "job-0007", "nobody", "job-0249", "job-0000"}) {
			if found := !errors.Is(r.Err, ErrNotFound); found != (i != 1 && i != 2) {
				t.Errorf("read %d: error %v, want found: %t", i, r.Err, !found)
			}
		}
	})
}

func TestTheSameJobTwiceInOneCallIsCreatedOnce(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		list := l.jobs(5)
		list[3] = l.NewJob(Job{ID: list[1].ID, Kind: "other"}, false, t0)
		results := l.CreateMany(t.Context(), list)
		for i, r := range results {
			if i == 3 {
				if !errors.Is(r.Err, ErrExists) || r.Job.Kind != "a.b" {
					t.Errorf("the second: error %v, %+v, want %v and the first", r.Err, r.Job, ErrExists)
				}
			} else if got, err := l.Get(t.Context(), list[i].ID); r.Err != nil || err != nil || got.Kind != "a.b" {
				t.Errorf("job %d: created with error %v, read with error %v, want nil", i, r.Err, err)
			}
		}
	})
}

func TestTheSameJobTwiceInOneClaimIsClaimedOnce(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		for _, j := range l.jobs(3) {
			l.queued(t, j.ID)
		}
		ids := []string{"job-0000", "job-0001", "job-0000", "job-0002"}
		claims := make([]Claim, len(ids))
		for i := range claims {
			claims[i] = Claim{Token: fmt.Sprint("t", i), Now: t0}
		}
		for i, r := range l.ClaimMany(t.Context(), ids, claims) {
			got := l.read(t, ids[i])
			if i == 2 {
				wantErr(t, r.Err, ErrHeld)
			} else if r.Err != nil || !got.holds(claims[i].Token) || got.Run != 1 || r.Job.Write != got.Write {
				t.Errorf("claim %d: error %v; stored %+v, want its lease", i, r.Err, got)
			}
		}
	})
}

func TestClaimManyTellsWhyNot(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		l.queued(t, "ready")
		l.running(t, "held", "t")
		done := l.running(t, "done", "t")
		if _, err := l.Finish(t.Context(), done, Finish{Token: "t", Now: t0, Outcome: OutcomeSuccess}); err != nil {
			t.Fatal(err)
		}
		for id, j := range map[string]Job{"later": {Kind: "a.b", At: t0 + 60_000}, "stranger": {Kind: "x"}, "expired": {Kind: "a.b", Deadline: t0}} {
			j.ID = id
			if _, err := l.Create(t.Context(), l.NewJob(j, false, t0)); err != nil {
				t.Fatal(err)
			}
		}
		ids := []string{"ready", "held", "done", "later", "stranger", "expired", "nobody"}
		want := []error{nil, ErrHeld, ErrMove, ErrNotDue, ErrKind, nil, ErrNotFound}
		claims := make([]Claim, len(ids))
		for i := range claims {
			claims[i] = Claim{Token: "mine", Now: t0, Runs: func(kind string) bool { return kind == "a.b" }}
		}
		results := l.ClaimMany(t.Context(), ids, claims)
		for i, r := range results {
			if !errors.Is(r.Err, want[i]) {
				t.Errorf("%s: %v, want %v", ids[i], r.Err, want[i])
			}
		}
		if results[5].Job.State != Failed {
			t.Errorf("the job whose deadline has passed is %s, want %s", results[5].Job.State, Failed)
		}
		again := l.ClaimMany(t.Context(), ids[:2], claims[:2])
		if again[0].Err != nil || again[0].Job.Run != 1 {
			t.Errorf("claimed twice: error %v, %d leases, want one", again[0].Err, again[0].Job.Run)
		}
	})
}

// lose applies the first n actions of each list of writes and reports a failure without saying of
// what, as the MongoDB driver does. Revisions of all documents are then worthless.
func lose(n int) func(context.Context, []*driver.Action, relay.Run) driver.ActionListError {
	return func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if len(acts) < 2 || !writes(acts) {
			return next(ctx, acts)
		}
		if err := next(ctx, acts[:n]); err != nil {
			return err
		}
		poison(acts)
		return driver.ActionListError{{Index: -1, Err: errStorm}}
	}
}

func TestAFailureOfNobodyInParticularIsSettledOneByOne(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		l.actions = lose(4)
		list := l.jobs(9)
		ids, claims := make([]string, len(list)), make([]Claim, len(list))
		for i, r := range l.CreateMany(t.Context(), list) {
			if got := l.read(t, list[i].ID); r.Err != nil || r.Job.Write != got.Write {
				t.Errorf("create %d: error %v, want nil and what is stored", i, r.Err)
			}
			ids[i], claims[i] = list[i].ID, Claim{Token: fmt.Sprint("t", i), Now: t0}
		}
		for i, r := range l.ClaimMany(t.Context(), ids, claims) {
			got := l.read(t, ids[i])
			if r.Err != nil || got.Run != 1 || !got.holds(claims[i].Token) || r.Job.Write != got.Write {
				t.Errorf("claim %d: error %v; stored %+v, want its only lease", i, r.Err, got)
			}
			if _, err := l.Heartbeat(t.Context(), r.Job, Heartbeat{Token: claims[i].Token, Now: t0 + 1}); err != nil {
				t.Errorf("heartbeat %d: error %v, want nil", i, err)
			}
		}
	})
}

func TestAThrottledReadIsNotAMissingRecord(t *testing.T) {
	l := newLab(t, openMemory(t))
	ids := []string{"job-0000", "job-0001", "job-0002"}
	for _, id := range ids {
		l.queued(t, id)
	}
	l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if len(acts) > 1 { // what DynamoDB did not get round to in a list is reported as missing
			return allFail(acts[1:], relay.Error{Code: gcerrors.NotFound})
		}
		return next(ctx, acts)
	}
	for i, r := range l.GetMany(t.Context(), ids) {
		if i > 0 && (r.Err != nil || r.Job.ID != ids[i]) {
			t.Errorf("get %s: error %v, want nil", ids[i], r.Err)
		}
	}
}

func TestConcurrentClaimsHaveOneWinner(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		ids := make([]string, 20)
		for i := range ids {
			ids[i] = fmt.Sprintf("job-%04d", i)
			l.queued(t, ids[i])
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := map[string]int{}
		for w := range 4 {
			claims := make([]Claim, len(ids))
			for i := range claims {
				claims[i] = Claim{Token: fmt.Sprintf("w%d-%d", w, i), Now: t0}
			}
			wg.Go(func() {
				for i, r := range l.ClaimMany(t.Context(), ids, claims) {
					mu.Lock()
					if r.Err == nil {
						won[ids[i]]++
					} else if !errors.Is(r.Err, ErrHeld) {
						t.Error(r.Err)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			if won[id] != 1 {
				t.Errorf("%s has %d winners, want 1", id, won[id])
			}
		}
	})
}
