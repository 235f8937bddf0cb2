package conformance

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/piecework/piecework/store"
)

// racers is how many take part in a race; half of them in each of two processes.
const racers = 16

// race runs fn in each racer at the same time.
func (l *storeLab) race(fn func(racer int, s *store.Store)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		wg.Go(func() {
			<-start
			fn(i, []*store.Store{l.Store, l.other}[i%2])
		})
	}
	close(start)
	wg.Wait()
}

// rounds is how often a race is run.
const rounds = 10

func testCreateRace(t *testing.T, l *storeLab) {
	for round := range rounds {
		name := fmt.Sprint("job-", round)
		var won [racers]bool
		l.race(func(racer int, s *store.Store) {
			j := l.job(name)
			j.Key = fmt.Sprint("racer ", racer)
			got, err := s.Create(t.Context(), j)
			won[racer] = err == nil
			if err != nil && !errors.Is(err, store.ErrExists) {
				t.Error(err)
			}
			if err == nil && got.Key != j.Key {
				t.Errorf("created %q, wanted %q", got.Key, j.Key)
			}
		})
		winner := slices.Index(won[:], true)
		if n := count(won[:]); n != 1 {
			t.Fatalf("%d have created %s", n, name)
		}
		if j := l.read(t, name); j.Key != fmt.Sprint("racer ", winner) {
			t.Errorf("racer %d won, and %q is stored", winner, j.Key)
		}
	}
}

func count(won []bool) int {
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	return n
}

func testClaimRace(t *testing.T, l *storeLab) {
	for round := range rounds {
		name := fmt.Sprint("job-", round)
		l.put(t, l.job(name))
		var won [racers]bool
		l.race(func(racer int, s *store.Store) {
			_, err := s.Claim(t.Context(), name, store.Claim{Token: fmt.Sprint("token-", racer), Now: t0})
			won[racer] = err == nil
			if err != nil && !errors.Is(err, store.ErrHeld) {
				t.Error(err)
			}
		})
		if n := count(won[:]); n != 1 {
			t.Fatalf("%d hold %s", n, name)
		}
		if j := l.read(t, name); j.Lease.Token != fmt.Sprint("token-", slices.Index(won[:], true)) || j.Run != 1 {
			t.Errorf("stored %s", text(t, j))
		}
	}
}

func testClaimManyRace(t *testing.T, l *storeLab) {
	const n = 40
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("job-%02d", i)
		l.put(t, l.job(ids[i]))
	}
	var mu sync.Mutex
	winners := map[string]string{}
	l.race(func(racer int, s *store.Store) {
		claims := make([]store.Claim, n)
		for i := range claims {
			claims[i] = store.Claim{Token: fmt.Sprint("token-", racer), Now: t0}
		}
		for i, r := range s.ClaimMany(t.Context(), ids, claims) {
			if errors.Is(r.Err, store.ErrHeld) {
				continue
			}
			mu.Lock()
			if r.Err != nil || winners[ids[i]] != "" {
				t.Errorf("%s: %v, held by %q and %q", ids[i], r.Err, winners[ids[i]], claims[i].Token)
			}
			winners[ids[i]] = claims[i].Token
			mu.Unlock()
		}
	})
	for _, name := range ids {
		if j := l.read(t, name); j.Lease == nil || j.Lease.Token != winners[name] || j.Run != 1 {
			t.Errorf("%s was won by %q: %s", name, winners[name], text(t, j))
		}
	}
}

// The attempt ends, a client cancels, sweep takes the lease for lost, and heartbeats go on: all at once. Exactly one
// of them ends the job, and what the winner was told is what stays.
func testEndRace(t *testing.T, l *storeLab) {
	for round := range rounds {
		name := fmt.Sprint("job-", round)
		have := l.claimed(t, name)
		var ended [racers]store.State
		l.race(func(racer int, s *store.Store) {
			var j store.Job
			var err error
			switch racer % 4 {
			case 0:
				j, err = s.Finish(t.Context(), have, store.Finish{Token: "token-1", Now: t0 + 1, Outcome: store.OutcomeSuccess})
			case 1:
				j, err = s.RequestCancel(t.Context(), name, "r", t0+1)
			case 2:
				j, _, err = s.AdvanceDue(t.Context(), have, store.AdvanceDue{Now: later, Delay: tenSeconds})
			default:
				j, err = s.Heartbeat(t.Context(), have, store.Heartbeat{Token: "token-1", Now: t0 + 1})
			}
			if err == nil && j.State.Final() {
				ended[racer] = j.State
			} else if err != nil && !errors.Is(err, store.ErrLeaseLost) && !errors.Is(err, store.ErrMove) {
				t.Error(err)
			}
		})
		j := l.read(t, name)
		for racer, state := range ended {
			if state != "" && state != j.State {
				t.Errorf("racer %d saw the job %s; it is %s", racer, state, j.State)
			}
		}
		if j.Lease != nil || len(j.Attempts) != 1 {
			t.Errorf("stored %s", text(t, j))
		}
	}
}

func testKindsRace(t *testing.T, l *storeLab) {
	l.race(func(racer int, s *store.Store) {
		if _, err := s.AddKinds(t.Context(), t0, store.KindSpec{Name: fmt.Sprintf("kind.%02d", racer)}, store.KindSpec{Name: "common"}); err != nil {
			t.Error(err)
		}
	})
	kinds, err := l.Kinds(t.Context())
	if err != nil || len(kinds) != racers+1 || kinds[0] != "common" {
		t.Errorf("%v, %v", kinds, err)
	}
}

func testRemoval(t *testing.T, l *storeLab) {
	ctx := t.Context()
	old := l.ended(t, l.id, store.Finish{Outcome: store.OutcomeSuccess})
	now, err := l.other.ClearEffects(ctx, old, old.Outbox, t0+2000)
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := l.Delete(ctx, old); err != nil || gone {
		t.Errorf("a record that has changed: removed %v, %v", gone, err)
	}
	l.sameAsStored(t, now)
	if gone, err := l.Delete(ctx, now); err != nil || !gone {
		t.Errorf("removed %v, %v", gone, err)
	}
	if _, err := l.Delete(ctx, now); err != nil {
		t.Errorf("again: %v", err)
	}
	_, err = l.other.Get(ctx, l.id)
	wantErr(t, err, store.ErrNotFound)
	_, err = l.Heartbeat(ctx, now, store.Heartbeat{Token: "token-1", Now: t0})
	wantErr(t, err, store.ErrLeaseLost)
	if j, err := l.Create(ctx, l.job(l.id)); err != nil { // the id is free again
		t.Error(err)
	} else {
		l.sameAsStored(t, j)
	}
}
