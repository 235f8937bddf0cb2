package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// While the store is away the worker waits, asking seldom; when it is back, everything goes on by
// itself.
func TestWorkerOutlivesAnOutageOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, err := mem.OpenCollection()
		if err != nil {
			t.Fatal(err)
		}
		var away atomic.Bool
		var asked atomic.Int64
		coll := relay.New(inner, relay.Hooks{
			Actions: func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
				if !away.Load() {
					return next(ctx, acts)
				}
				asked.Add(1)
				var errs driver.ActionListError
				for _, a := range acts {
					errs = append(errs, struct {
						Index int
						Err   error
					}{a.Index, relay.Error{Code: gcerrors.Internal}})
				}
				return errs
			},
			Query: func(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error) {
				if away.Load() {
					asked.Add(1)
					return nil, relay.Error{Code: gcerrors.Internal}
				}
				return next(ctx, q)
			},
		})
		w := newWorld(t)
		if w.store, err = store.New(coll, nil); err != nil {
			t.Fatal(err)
		}
		reg, g := sleeper("sleep")
		r := w.start(reg, worker.Options{Concurrency: 10, SweepEvery: 10 * time.Second})
		var ids []string
		for range 30 {
			ids = append(ids, r.submit(t, "sleep", 20_000))
		}
		synctest.Wait()
		if err := r.Healthy(); err != nil {
			t.Errorf("a worker at work is not healthy: %v", err)
		}
		away.Store(true)
		time.Sleep(5 * time.Minute)
		if err := fmt.Sprint(r.Healthy()); !strings.Contains(err, "sweep") {
			t.Errorf("the worker's health is %s, want that it cannot sweep", err)
		}
		if n := asked.Load(); n > 3000 {
			t.Errorf("in 5 minutes the store was asked %d times", n)
		}
		if n := g.now.Load(); n != 0 {
			t.Errorf("%d handlers still run", n)
		}
		away.Store(false)
		back := time.Now()
		time.Sleep(6 * time.Minute)
		if err := r.Healthy(); err != nil {
			t.Errorf("6 minutes after the store was back the worker is not healthy: %v", err)
		}
		for _, id := range ids {
			info, err := r.rt.Client().Wait(t.Context(), id)
			if err != nil || info.State != store.Succeeded {
				t.Errorf("job is %s, error %v", info.State, err)
			}
		}
		if d := time.Since(back); d > 10*time.Minute {
			t.Errorf("everything had ended %v after the store was back", d)
		}
		r.stop(t)
		_ = coll.Close()
		_ = inner.Close()
	})
}
