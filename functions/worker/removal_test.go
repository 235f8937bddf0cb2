package worker_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// Thousands of jobs are to be removed, for which the store takes several intervals. A job whose
// worker died meanwhile runs again as soon as without them, and the removal goes on without a
// pause.
func TestADeadWorkerIsNoticedWhileJobsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, err := mem.OpenCollection()
		if err != nil {
			t.Fatal(err)
		}
		removed := make(chan time.Time, 1)
		left := 5000
		coll := relay.New(inner, relay.Hooks{
			Actions: func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
				if acts[0].Kind == driver.Delete {
					time.Sleep(4 * time.Second) // virtual: 200 seconds for all
					if left -= len(acts); left == 0 {
						removed <- time.Now()
					}
				}
				return next(ctx, acts)
			},
		})
		w := newWorld(t)
		if w.store, err = store.New(coll, nil); err != nil {
			t.Fatal(err)
		}
		now := store.At(time.Now())
		jobs := make([]store.Job, left)
		for i := range jobs {
			jobs[i] = store.Job{
				ID: fmt.Sprintf("job-%04d", i), Kind: "sleep", State: store.Cancelled, Cancel: now, Created: now, Ended: now, Due: now + 1,
				Policy: store.Policy{Retention: 1},
			}
		}
		for _, r := range w.store.CreateMany(t.Context(), jobs) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		dead := w.store.NewJob(store.Job{ID: "job-dead", Kind: "sleep", Policy: store.Policy{MaxAttempts: 3}}, false, now)
		dead.Args.Inline = []byte("0")
		if _, err := w.store.Create(t.Context(), dead); err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Claim(t.Context(), dead.ID, store.Claim{Token: "dead", Worker: "dead", Now: now}); err != nil {
			t.Fatal(err)
		}
		reg, g := sleeper("sleep")
		r := w.start(reg, worker.Options{})
		began, idle := time.Now(), w.store.Timing().Grace+time.Minute // when the job is due, and the interval
		for g.total.Load() == 0 && time.Since(began) < time.Hour {
			time.Sleep(time.Second) // virtual
		}
		if took := time.Since(began); took > idle {
			t.Errorf("the job of the dead worker ran again after %v, want %v at most", took, idle)
		}
		if took := (<-removed).Sub(began); took > 5*time.Minute {
			t.Errorf("the removal took %v, want 5m at most", took)
		}
		r.stop(t)
	})
}
