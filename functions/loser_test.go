package functions_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// An attempt that stood still until its job was done, and perhaps removed, leaves nothing behind:
// neither files that it wrote before the purge or the removal, nor those that it writes after.
func TestNothingThatALoserWroteStays(t *testing.T) {
	large := strings.Repeat("x", 2*store.MaxInline)
	for name, keep := range map[string]time.Duration{"the job stays": 0, "the job is gone": time.Hour} {
		for _, saves := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				var d *desk
				reg := functions.NewRegistry()
				functions.Handle(reg, "slow", func(ctx context.Context, job *functions.Job[order]) (string, error) {
					if job.Attempt == 2 {
						return "done", nil
					}
					before, err := job.Output(ctx, "before.txt")
					if err == nil {
						_, _ = io.WriteString(before, "text")
						err = job.Checkpoint(ctx, large)
					}
					if err != nil {
						return "", err
					}
					d.advance(3 * time.Minute) // the worker stands still
					d.sweep(t)
					d.drain(t)
					if i := d.get(t, job.ID); i.State != store.Succeeded {
						t.Errorf("state %s (%s), want succeeded by the second attempt", i.State, i.Error)
					}
					d.advance(2 * time.Hour)
					d.sweep(t)
					after, err := job.Output(ctx, "after.txt")
					if err == nil {
						_, _ = io.WriteString(after, "text")
						err = after.Close()
					}
					if err == nil && saves {
						if err = job.Checkpoint(ctx, large+"y"); !errors.Is(err, functions.ErrLeaseLost) {
							t.Errorf("late checkpoint: %v, want %v", err, functions.ErrLeaseLost)
						}
						if cause := context.Cause(ctx); !errors.Is(cause, functions.ErrLeaseLost) {
							t.Errorf("cause %v, want %v", cause, functions.ErrLeaseLost)
						}
						err = nil
					}
					return large, err
				}, functions.Retries(functions.Constant(0)), functions.Retention(keep))
				d = newDesk(t, reg)
				id := d.submit(t, "slow", order{})
				if out := d.Execute(t.Context(), d.take()[0].msg); out.Verdict != functions.Drop {
					t.Errorf("outcome %v (%v), want drop", out.Verdict, out.Err)
				}
				if _, err := d.Client().Get(t.Context(), id); errors.Is(err, store.ErrNotFound) != (keep > 0) {
					t.Errorf("the record: %v, retention %v", err, keep)
				}
				if files := d.files(t); len(files) != 0 {
					t.Errorf("files %v, want none", files)
				}
			})
		}
	}
}

// Outputs that a loser has joined are removed, while the parts stay that the record lists for the
// next attempt.
func TestWhatALoserHasJoinedIsRemoved(t *testing.T) {
	var d *desk
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		out, err := job.Output(ctx, "a.txt")
		if err == nil {
			_, _ = io.WriteString(out, "before,")
			err = job.Checkpoint(ctx, 1)
		}
		if err == nil {
			_, err = io.WriteString(out, "after")
		}
		d.advance(3 * time.Minute) // the worker stands still
		d.sweep(t)
		return order{}, err
	}, functions.Retries(functions.Constant(time.Hour))))
	id := d.submit(t, "shop.order", order{})
	joins := 0
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		for _, key := range d.files(t) {
			joins += strings.Count(key, "-joined/")
		}
		return next(ctx, acts)
	}
	d.drain(t)
	wantState(t, d.get(t, id), store.Retrying)
	if files := d.files(t); joins == 0 || len(files) != 1 {
		t.Errorf("files %v, joined ones seen %d times before; want the part of the checkpoint, and some", files, joins)
	}
}

// watched is a result that tells when it is encoded.
type watched struct{ encoded *atomic.Bool }

// MarshalJSON notes that it was called.
func (w watched) MarshalJSON() ([]byte, error) {
	if w.encoded != nil {
		w.encoded.Store(true)
	}
	return []byte(`{}`), nil
}

// UnmarshalJSON reads nothing.
func (*watched) UnmarshalJSON([]byte) error { return nil }

// An attempt that had timed out when it lost its lease asks the store no more, and brings no result
// into its final form.
func TestALostLeaseCountsMoreThanATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var encoded atomic.Bool
		reg := functions.NewRegistry()
		functions.Handle(reg, "stubborn", func(ctx context.Context, _ *functions.Job[order]) (watched, error) {
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, functions.ErrAttemptTimeout) {
				t.Errorf("cause %v, want the timeout, which came first", cause)
			}
			time.Sleep(20 * time.Second) // virtual time
			return watched{&encoded}, nil
		}, functions.Timeout(10*time.Second))
		d := newDesk(t, reg, bubble)
		var calls atomic.Int64
		d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			calls.Add(1)
			return next(ctx, acts)
		}
		id := d.submit(t, "stubborn", order{})
		ended := make(chan functions.Outcome, 1)
		go func() { ended <- d.Execute(t.Context(), d.take()[0].msg) }()
		time.Sleep(12 * time.Second)
		have, err := d.store.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		end := store.Finish{Token: have.Lease.Token, Now: store.At(time.Now()), Outcome: store.OutcomeLost, Delay: time.Hour}
		if _, err := d.store.Finish(t.Context(), have, end); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second) // the attempt looks after it
		before := calls.Load()
		time.Sleep(13 * time.Second)
		if n := calls.Load() - before; n != 0 {
			t.Errorf("%d calls of the store after the lease was lost, want none", n)
		}
		if out := <-ended; !errors.Is(out.Err, functions.ErrLeaseLost) {
			t.Errorf("outcome %v (%v), want %v", out.Verdict, out.Err, functions.ErrLeaseLost)
		}
		if encoded.Load() {
			t.Error("the result was encoded, want it to be thrown away")
		}
	})
}

// An answer to a cancel that takes long is of an attempt that may have ended since. It says nothing
// of the next attempt's lease.
func TestASlowAnswerToACancelSparesLaterAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			if calls++; calls == 1 {
				<-ctx.Done()
				return order{}, ctx.Err()
			}
			select {
			case <-ctx.Done():
				return order{}, context.Cause(ctx)
			case <-time.After(time.Hour):
				return order{Count: calls}, nil
			}
		}), bubble)
		var slow atomic.Bool
		answered := make(chan struct{})
		d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			err := next(ctx, acts)
			if acts[0].Kind == driver.Update && slow.CompareAndSwap(true, false) {
				<-answered
			}
			return err
		}
		id := d.submit(t, "shop.order", order{})
		go d.Execute(t.Context(), d.take()[0].msg)
		synctest.Wait() // until the first attempt runs
		slow.Store(true)
		cancelled := make(chan error, 1)
		go func() { _, err := d.Client().Cancel(t.Context(), id, "enough"); cancelled <- err }()
		for d.get(t, id).State != store.Cancelled { // a poll finds it
			time.Sleep(time.Second) // virtual time
		}
		if _, err := d.Client().Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		go d.Execute(t.Context(), d.take()[0].msg)
		synctest.Wait() // until the second attempt runs
		close(answered)
		if err := <-cancelled; err != nil {
			t.Errorf("cancel: %v, want nil", err)
		}
		time.Sleep(2 * time.Hour) // virtual time
		if i := d.get(t, id); i.State != store.Succeeded || d.Stats().LeasesLost.Load() != 0 {
			t.Errorf("the job is %s with %d leases lost, want succeeded and 0", i.State, d.Stats().LeasesLost.Load())
		}
	})
}
