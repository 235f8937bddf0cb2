package sqldocstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func testRequest(ctx context.Context, ids ...string) *request {
	r := &request{ctx: ctx, done: make(chan struct{}, 1)}
	for _, id := range ids {
		r.writes = append(r.writes, write{id: id})
	}
	return r
}

// TestGroupCommit: a lone write is committed at once; those that come while it is are
// committed together.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var batches []int
		g := newGroupWriter(func(reqs []*request) {
			batches = append(batches, len(reqs))
			time.Sleep(time.Second) // of the bubble's clock
		}, 1, 100, false)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { g.run(t.Context(), []*request{testRequest(t.Context(), "first")}) })
		synctest.Wait()
		for i := range 150 {
			wg.Go(func() { g.run(t.Context(), []*request{testRequest(t.Context(), fmt.Sprint(i))}) })
		}
		wg.Wait()
		g.close()
		if fmt.Sprint(batches) != "[1 100 50]" || time.Since(start) != 3*time.Second {
			t.Fatalf("batches of %v in %v, want 1, 100, 50 in 3s", batches, time.Since(start))
		}
		late := testRequest(t.Context(), "late")
		g.run(t.Context(), []*request{late})
		if !errors.Is(late.writes[0].err, errClosed) {
			t.Fatalf("after close: %v", late.writes[0].err)
		}
	})
}

// TestExclusive: no id is in two transactions at once, and atomic writes are alone.
func TestExclusive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		busy, commits := map[string]bool{}, 0
		g := newGroupWriter(func(reqs []*request) {
			mu.Lock()
			commits++
			for _, r := range reqs {
				if r.atomic && len(reqs) > 1 {
					t.Error("atomic writes share a transaction")
				}
				for _, w := range r.writes {
					if busy[w.id] {
						t.Errorf("%s is in two transactions", w.id)
					}
					busy[w.id] = true
				}
			}
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			clear(busy)
			mu.Unlock()
		}, 1, 100, true)
		var wg sync.WaitGroup
		for i := range 60 {
			r := testRequest(t.Context(), fmt.Sprint(i%20), fmt.Sprint("x", i%20))
			r.atomic = i%30 == 0
			wg.Go(func() { g.run(t.Context(), []*request{r}) })
		}
		wg.Wait()
		g.close()
		if commits < 3 || commits > 9 {
			t.Fatalf("%d transactions", commits)
		}
	})
}

// TestCallerLeaves: a caller whose context ends does not wait, and what was not taken
// yet is not written.
func TestCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var committed []string
		g := newGroupWriter(func(reqs []*request) {
			for _, r := range reqs {
				committed = append(committed, r.writes[0].id)
			}
			time.Sleep(time.Hour)
		}, 1, 100, false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		taken, waiting := testRequest(ctx, "taken"), testRequest(ctx, "waiting")
		var wg sync.WaitGroup
		wg.Go(func() { g.run(ctx, []*request{taken}) })
		synctest.Wait()
		wg.Go(func() { g.run(ctx, []*request{waiting}) })
		start := time.Now()
		wg.Wait()
		if time.Since(start) != time.Second || taken.err == nil || waiting.err == nil {
			t.Fatalf("waited %v: %v, %v", time.Since(start), taken.err, waiting.err)
		}
		g.close()
		if fmt.Sprint(committed) != "[taken]" {
			t.Fatalf("committed %v", committed)
		}
	})
}

// TestIsolate: halving finds the requests that spoil a transaction.
func TestIsolate(t *testing.T) {
	bad := errors.New("poison")
	var reqs []*request
	for i := range 100 {
		reqs = append(reqs, testRequest(t.Context(), fmt.Sprint(i)))
	}
	tries := 0
	isolate(reqs, func(reqs []*request) error {
		tries++
		for _, r := range reqs {
			r.fail(nil)
			if r.writes[0].id == "13" || r.writes[0].id == "77" {
				return bad
			}
		}
		return nil
	})
	for i, r := range reqs {
		if failed := r.writes[0].err != nil; failed != (i == 13 || i == 77) {
			t.Errorf("got %d: %v, want failed == (i == 13 || i == 77)", i, r.writes[0].err)
		}
	}
	if tries > 30 {
		t.Errorf("%d transactions", tries)
	}
}
