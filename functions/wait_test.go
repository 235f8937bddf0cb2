package functions_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

func TestHeartbeatsKeepALongJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			for n := range int64(100) {
				job.Progress(n+1, 100, "counting")
				time.Sleep(30 * time.Second) // virtual time
			}
			return order{}, ctx.Err()
		}), bubble)
		id := d.submit(t, "shop.order", order{})
		done := make(chan struct{})
		go func() { d.drain(t); close(done) }()
		for range 40 {
			time.Sleep(time.Minute) // virtual time
			synctest.Wait()
			if r, err := d.Sweep(t.Context(), functions.SweepRequest{}); err != nil || r.Lost != 0 {
				t.Fatalf("result = %+v, error = %v; want no error and Lost = 0", r, err)
			}
			i := d.get(t, id)
			if i.Progress == nil || i.Progress.Total != 100 || time.Since(i.Progress.At) > time.Minute || i.Worker != "test" || i.LeaseUntil.Before(time.Now()) {
				t.Fatalf("job = %+v; want Progress set, Progress.Total = 100, Since(i.Progress.At) <= Minute, Worker = \"test\" and not LeaseUntil.Before(Now())",
					i)
			}
		}
		<-done
		if i := d.get(t, id); i.State != store.Succeeded || i.Attempt != 1 || i.Progress.Done != 100 {
			t.Errorf("job = %+v; want State = Succeeded, Attempt = 1 and Progress.Done = 100", i)
		}
	})
}

func TestWaitSeesTheEndHereAndElsewhere(t *testing.T) {
	for _, here := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			reg := handle(func(context.Context, *functions.Job[order]) (order, error) {
				time.Sleep(time.Minute) // virtual time
				return order{}, nil
			})
			d := newDesk(t, reg, bubble)
			rt := d.Runtime
			if !here {
				var err error
				if rt, err = functions.New(reg, functions.Backends{Store: d.store, Queue: d, Blobs: d.blobs}, functions.Config{Log: d.Runtime.Config().Log}); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = rt.Close() }()
			}
			id := d.submit(t, "shop.order", order{})
			go d.drain(t)
			start := time.Now()
			i, err := rt.Client().Wait(t.Context(), id)
			if took := time.Since(start); err != nil || !i.Done() || here && took != time.Minute || took > time.Minute+2*time.Second {
				t.Errorf("here %v: %+v, %v after %v", here, i, err, took)
			}
		})
	}
}

func TestWaitEndsWithItsContextInTheMiddleOfARead(t *testing.T) {
	d := newDesk(t, handle(echoing))
	id := d.submit(t, "shop.order", order{})
	ctx, cancel := context.WithCancelCause(t.Context())
	reads, gone := 0, errors.New("the caller has gone")
	d.mu.Lock()
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if reads++; reads == 2 {
			cancel(gone)
			return driver.ActionListError{{Index: -1, Err: ctx.Err()}}
		}
		return next(ctx, acts)
	}
	d.mu.Unlock()
	i, err := d.Client().Wait(ctx, id)
	wantErr(t, err, gone, "wait for job "+id)
	if i.ID != id || i.State != store.Queued {
		t.Errorf("as last seen: %+v", i)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(echoing), bubble)
		id := d.submit(t, "shop.order", order{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		i, err := d.Client().Wait(ctx, id)
		if !errors.Is(err, context.DeadlineExceeded) || functions.HTTPStatus(err) != 504 || i.State != store.Queued {
			t.Errorf("job = %+v, error = %v; want error context.DeadlineExceeded, HTTPStatus(err) = 504 and State = Queued", i, err)
		}
		_, err = d.Client().Wait(ctx, id) // it has ended before
		wantErr(t, err, context.DeadlineExceeded)
		_, err = d.Client().Wait(t.Context(), "job-nobody")
		wantErr(t, err, store.ErrNotFound)
	})
}

// The arguments of a job that is waited for are read when it has ended, and not before.
func TestWaitReadsNoBlobsBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(echoing), bubble)
		large := order{Item: strings.Repeat("x", 40_000)}
		id := d.submit(t, "shop.order", large)
		i, err := d.Client().Wait(t.Context(), d.once(t, "shop.order", large).ID)
		if err != nil || len(i.Args) < 40_000 || len(i.Result) < 40_000 || i.Omitted != nil {
			t.Errorf("ended: %d bytes of arguments, %d of result, omitted %v, %v", len(i.Args), len(i.Result), i.Omitted, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		held := d.submit(t, "shop.order", large, functions.Held())
		_ = d.bucket.Close()
		i, err = d.Client().Wait(ctx, held)
		if !errors.Is(err, context.DeadlineExceeded) || i.ID != held || !slices.Equal(i.Omitted, []string{"args"}) {
			t.Errorf("held: %s, omitted %v, %v; want %s without its arguments after its time", i.ID, i.Omitted, err, held)
		}
		if _, err := d.Client().Wait(t.Context(), id); err == nil {
			t.Error("ended: no error, though the bucket is closed")
		}
	})
}

// All who wait for a job share what is read of it, whenever they come and go.
func TestWaitersShareReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(echoing), bubble)
		id := d.submit(t, "shop.order", order{}, functions.Held())
		var reads atomic.Int64
		d.mu.Lock()
		d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			reads.Add(int64(len(acts)))
			return next(ctx, acts)
		}
		d.mu.Unlock()
		const waiters, most = 200, 45 // a minute has 30 pauses of two seconds, and some that are shorter
		var wg sync.WaitGroup
		for n := range waiters {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(n)*time.Millisecond)
				defer cancel()
				i, err := d.Client().Wait(ctx, id)
				if !errors.Is(err, context.DeadlineExceeded) || i.State != store.Held {
					t.Errorf("waiter %d: %s, %v, want held after its time", n, i.State, err)
				}
			})
		}
		synctest.Wait() // each may have had a read of its own when it came
		reads.Store(0)
		wg.Wait()
		if got := reads.Load(); got > most {
			t.Errorf("%d reads for %d waiters in a minute, want at most %d", got, waiters, most)
		}
		// One that comes later is not told what was read before it came.
		other := d.submit(t, "shop.order", order{}, functions.Held())
		early, cancel := context.WithCancel(t.Context())
		wg.Go(func() { _, _ = d.Client().Wait(early, other) })
		time.Sleep(time.Minute) // virtual time
		if _, err := d.Client().Cancel(t.Context(), other, ""); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if i, err := d.Client().Wait(t.Context(), other); err != nil || i.State != store.Cancelled || time.Since(start) != 0 {
			t.Errorf("%s, %v after %v, want cancelled at once", i.State, err, time.Since(start))
		}
		cancel()
		wg.Wait()
	})
}

// What a read finds that was begun before a waiter came, also an error, is not for that waiter.
func TestAWaiterIsNotToldOfAnEarlierError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(echoing), bubble)
		id := d.submit(t, "shop.order", order{}, functions.Held())
		fail, read := make(chan struct{}), make(chan struct{})
		d.mu.Lock()
		d.actions = func(context.Context, []*driver.Action, relay.Run) driver.ActionListError {
			<-fail
			d.mu.Lock()
			d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
				<-read
				return next(ctx, acts)
			}
			d.mu.Unlock()
			return driver.ActionListError{{Index: 0, Err: relay.Error{Code: gcerrors.NotFound}}}
		}
		d.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var early, late error
		var wg sync.WaitGroup
		wg.Go(func() { _, early = d.Client().Wait(ctx, id) })
		synctest.Wait() // its read is under way
		wg.Go(func() { _, late = d.Client().Wait(ctx, id) })
		synctest.Wait()
		close(fail)
		synctest.Wait()
		close(read)
		wg.Wait()
		if !errors.Is(early, store.ErrNotFound) {
			t.Errorf("the first waiter: %v, want %v: its read found nothing", early, store.ErrNotFound)
		}
		if !errors.Is(late, context.DeadlineExceeded) {
			t.Errorf("the second waiter: %v, want %v: the read that failed was begun before", late, context.DeadlineExceeded)
		}
	})
}

// The reads for those who still wait go on when the first who came has gone.
func TestAWaiterOutlastsTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(echoing), bubble)
		id := d.submit(t, "shop.order", order{}, functions.Held())
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = d.Client().Wait(ctx, id) })
		synctest.Wait()
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if i, err := d.Client().Wait(ctx, id); err != nil || i.State != store.Cancelled {
				t.Errorf("%s, %v, want cancelled", i.State, err)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		if _, err := d.Client().Cancel(t.Context(), id, ""); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
}

func TestProgressSurvivesAHeartbeatThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d *desk
		d = newDesk(t, handle(func(_ context.Context, job *functions.Job[order]) (order, error) {
			d.storeFails()
			job.Progress(7, 10, "rows")
			time.Sleep(time.Second) // virtual time
			d.storeWorks()
			return order{}, nil
		}), bubble)
		if i := d.once(t, "shop.order", order{}); i.Progress == nil || i.Progress.Done != 7 {
			t.Errorf("job = %+v; want Progress set and Progress.Done = 7", i)
		}
	})
}
