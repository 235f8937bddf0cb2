package functions_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// What follows an attempt's end may take longer than its time limit. Nobody must be asked for
// heartbeats meanwhile.
func TestAnAttemptThatHasEndedWantsNoHeartbeat(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "quick", func(context.Context, *functions.Job[struct{}]) (int, error) { return 1, nil },
		functions.Timeout(time.Minute))
	d := newDesk(t, reg)
	r, err := d.Client().Submit(t.Context(), "quick", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	a := d.Claim(t.Context(), pubsubq.Message{ID: r.ID})[0].Attempt
	if out := a.Run(t.Context()); out.Err != nil {
		t.Fatal(out.Err)
	}
	d.now = d.now.Add(2 * time.Minute)
	if next := a.Beat(t.Context()); !next.After(d.now) {
		t.Errorf("the next heartbeat is wanted %v ago", d.now.Sub(next))
	}
}

// A heartbeat extends the lease from when it was asked for, however long the answer takes: others
// count from then.
func TestALeaseCountsFromWhenItWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		var start time.Time
		var took time.Duration
		d, _ := steppingDesk(t, handle(func(ctx context.Context, _ *functions.Job[order]) (order, error) {
			<-ctx.Done()
			cause, took = context.Cause(ctx), time.Since(start)
			return order{}, ctx.Err()
		}))
		d.submit(t, "shop.order", order{})
		var writes atomic.Int64
		d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if acts[0].Kind == driver.Get {
				return next(ctx, acts)
			}
			switch writes.Add(1) {
			case 1: // the claim
				return next(ctx, acts)
			case 2: // the first heartbeat
				time.Sleep(time.Second) // virtual time
				return next(ctx, acts)
			default:
				return driver.ActionListError{{Index: 0, Err: errors.New("no route to host")}}
			}
		}
		start = time.Now()
		d.Execute(t.Context(), d.take()[0].msg)
		lease := d.Timing().Lease
		if most := lease + lease/3 + lease/10; !errors.Is(cause, functions.ErrLeaseLost) || took > most {
			t.Errorf("%v after %v, want the lease to be lost after %v at most", cause, took, most)
		}
	})
}

// Progress that a heartbeat is writing when the handler returns is not lost with the heartbeat.
func TestTheEndWritesProgressOfTheHeartbeatThatItCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		beating := make(chan struct{})
		d := newDesk(t, handle(func(_ context.Context, job *functions.Job[order]) (order, error) {
			job.Progress(1, 2, "half")
			<-beating
			return job.Args, nil
		}), bubble)
		id := d.submit(t, "shop.order", order{})
		var writes atomic.Int64
		d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if acts[0].Kind == driver.Get || writes.Add(1) != 2 { // the second write is the heartbeat's
				return next(ctx, acts)
			}
			close(beating)
			<-ctx.Done()
			return driver.ActionListError{{Index: 0, Err: ctx.Err()}}
		}
		d.Execute(t.Context(), d.take()[0].msg)
		if i := d.get(t, id); i.State != store.Succeeded || i.Progress == nil || i.Progress.Message != "half" {
			t.Errorf("state = %s, progress = %+v; want succeeded, with the progress that the heartbeat did not get through", i.State, i.Progress)
		}
	})
}

// A driver that panics in a heartbeat, or in the read of one who waits, does not take the process
// with it.
func TestADriverPanicsBesideTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			time.Sleep(time.Minute) // virtual time
			return job.Args, ctx.Err()
		}), bubble)
		id := d.submit(t, "shop.order", order{Count: 7})
		var calls atomic.Int64
		d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if calls.Add(1) == 3 { // after the claim's two
				panic("driver: index out of range")
			}
			return next(ctx, acts)
		}
		d.Execute(t.Context(), d.take()[0].msg)
		if i := d.get(t, id); i.State != store.Succeeded {
			t.Errorf("the job is %s (%s), want succeeded", i.State, i.Error)
		}
		if !d.logged("heartbeat failed", "index out of range", id) {
			t.Errorf("the log does not tell of the panic:\n%s", d.log.String())
		}
		calls.Store(2)
		if _, err := d.Client().Wait(t.Context(), id); err == nil || !strings.Contains(err.Error(), "index out of range") {
			t.Errorf("wait: %v, want the panic as an error", err)
		}
	})
}
