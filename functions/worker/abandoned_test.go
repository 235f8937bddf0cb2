package worker_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/printed"
)

// deaf registers kinds whose handlers do not care for their context: "deaf" goes on until it may
// return, "fine" returns.
func deaf() (reg *functions.Registry, alive *atomic.Int64, most *atomic.Int64, may chan struct{}) {
	reg, alive, most, may = functions.NewRegistry(), &atomic.Int64{}, &atomic.Int64{}, make(chan struct{})
	functions.Handle(reg, "deaf", func(context.Context, *functions.Job[int]) (int, error) {
		n := alive.Add(1)
		defer alive.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-may
		return 0, nil
	}, functions.Timeout(200*time.Millisecond), functions.MaxAttempts(1))
	functions.Handle(reg, "fine", func(context.Context, *functions.Job[int]) (int, error) { return 1, nil })
	return reg, alive, most, may
}

// Handlers that are abandoned are bounded: as many as there are slots go on beside the running
// ones. When they hold all slots, the log says what to do; when some return, jobs are started
// again.
func TestHandlersThatAreAbandonedAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 4
		reg, alive, most, may := deaf()
		var log printed.Text
		w := newWorld(t)
		rt := w.runtime(reg, functions.Config{StopGrace: 100 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
		r := w.startOn(rt, worker.Options{Concurrency: slots, DrainGrace: -1})
		for range slots {
			r.submit(t, "deaf", 0)
		}
		time.Sleep(time.Second)
		if n := rt.Stats().HandlersAbandoned.Load(); n != slots || alive.Load() != slots {
			t.Errorf("%d handlers are abandoned by the figures, %d go on; want %d", n, alive.Load(), slots)
		}
		if id := r.submit(t, "fine", 0); log.HasLine("no job can be started") {
			t.Error("the log says that nothing can be started, want all slots to be free")
		} else if time.Sleep(time.Second); r.state(t, id) != store.Succeeded {
			t.Errorf("state %s, want succeeded: the slots are free", r.state(t, id))
		}
		for range 5 * slots {
			r.submit(t, "deaf", 0)
		}
		time.Sleep(10 * time.Second)
		fine := r.submit(t, "fine", 0)
		time.Sleep(10 * time.Second)
		if alive.Load() != 2*slots || most.Load() != 2*slots || rt.Stats().HandlersAbandoned.Load() != 2*slots {
			t.Errorf("%d handlers go on, %d at most, %d by the figures; want %d", alive.Load(), most.Load(), rt.Stats().HandlersAbandoned.Load(), 2*slots)
		}
		if s := r.state(t, fine); s != store.Queued {
			t.Errorf("state %s, want queued: there is no slot", s)
		}
		if n := strings.Count(log.String(), "no job can be started"); n != 1 || !log.HasLine("level=ERROR", "no job can be started", "restart this process") {
			t.Errorf("%d lines say that nothing can be started, want one error that tells what to do", n)
		}
		close(may)
		time.Sleep(10 * time.Minute)
		if s := r.state(t, fine); s != store.Succeeded {
			t.Errorf("state %s, want succeeded: the handlers have returned", s)
		}
		if n := rt.Stats().HandlersAbandoned.Load(); n != 0 || alive.Load() != 0 {
			t.Errorf("%d handlers are abandoned by the figures, %d go on; want none", n, alive.Load())
		}
		g := r.submit(t, "fine", 0)
		time.Sleep(time.Second)
		if s := r.state(t, g); s != store.Succeeded {
			t.Errorf("state %s, want succeeded: all slots are free", s)
		}
		r.stop(t)
	})
}
