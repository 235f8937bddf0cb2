package worker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/store"
)

// A worker's death is noticed a lease and a skew after its last heartbeat, with the next sweep. Before
// the first heartbeat it may take a grace from the claim.
func TestADeathIsNoticedWithinTheBound(t *testing.T) {
	const sweepEvery = 10 * time.Second
	timing := store.Timing{Lease: time.Minute, Grace: 2 * time.Minute, Skew: 2 * time.Second}
	for name, c := range map[string]struct{ dies, bound time.Duration }{
		"before the first heartbeat": {10 * time.Second, timing.Grace},
		"after the first heartbeat":  {25 * time.Second, 20*time.Second + timing.Lease + timing.Skew},
		"after many heartbeats":      {10*time.Minute + 5*time.Second, 10*time.Minute + timing.Lease + timing.Skew},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				reg := functions.NewRegistry()
				var attempts atomic.Int64
				functions.Handle(reg, "busy", func(context.Context, *functions.Job[int]) (int, error) {
					attempts.Add(1)
					time.Sleep(time.Hour) // virtual time, also after the death
					return 0, nil
				})
				first := w.start(reg, worker.Options{SweepEvery: -1})
				start := time.Now()
				first.submit(t, "busy", 1)
				time.Sleep(c.dies)
				first.cancel()
				first.Leave()
				<-first.done
				_ = first.rt.Close()
				second := w.start(reg, worker.Options{SweepEvery: sweepEvery})
				for attempts.Load() < 2 && time.Since(start) < time.Hour {
					time.Sleep(time.Second)
				}
				if took, most := time.Since(start), c.bound+sweepEvery*11/10+2*time.Second; took > most || took < timing.Lease+timing.Skew-time.Second {
					t.Errorf("the second attempt began %v after the claim, want %v to %v", took, timing.Lease+timing.Skew, most)
				}
				second.cancel()
				<-second.done
				time.Sleep(time.Hour) // virtual time: the handlers return
			})
		})
	}
}
