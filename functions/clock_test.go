package functions_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// apart makes a time whose wall clock and monotonic reading are what they are told to be. Package
// time makes such times when the machine's clock is set, and offers no other way to have one.
func apart(t *testing.T, wall time.Time, mono time.Duration) time.Time {
	t.Helper()
	var made time.Time
	form := (*struct {
		wall uint64 // a bit that says that there is a reading, then 33 of seconds since 1885, then 30 of nanoseconds
		ext  int64  // the reading
		loc  *time.Location
	})(unsafe.Pointer(&made)) // checked below
	seconds := wall.Unix() - time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	form.wall, form.ext = 1<<63|uint64(seconds)<<30|uint64(wall.Nanosecond()), int64(mono)
	later := made.Add(time.Second)
	if made.UnixNano() != wall.UnixNano() || later.Sub(made) != time.Second || !strings.Contains(made.String(), " m=") {
		t.Errorf("made %v of %v and %v: time.Time has another form by now", made, wall, mono)
	}
	return made
}

// The wall clock is set while a job runs: its time limit, its heartbeats and its polls come when
// they should.
func TestAStepOfTheWallClockMovesNoInterval(t *testing.T) {
	for name, step := range map[string]time.Duration{"back": -40 * time.Second, "forward": 40 * time.Second} {
		t.Run("time limit, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cause error
				d, set := steppingDesk(t, handle(waiting(&cause), functions.Timeout(3*time.Second), functions.MaxTimeouts(1)))
				start := time.Now()
				i := stopped(t.Context(), t, d, &cause, func(string) { set(step) })
				if took := time.Since(start); took != 3*time.Second || !errors.Is(cause, functions.ErrAttemptTimeout) {
					t.Errorf("%v after %v, want the time limit after 3s", cause, took)
				}
				if i.State != store.Failed || i.Attempts[0].Outcome != store.OutcomeTimeout {
					t.Errorf("state %s (%s), want failed by its time limit", i.State, i.Error)
				}
			})
		})
		t.Run("deadline of the job, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cause error
				d, set := steppingDesk(t, handle(waiting(&cause), functions.Deadline(5*time.Second)))
				start := time.Now()
				i := stopped(t.Context(), t, d, &cause, func(string) { set(step) })
				if i.State != store.Failed || i.Attempt != 1 {
					t.Errorf("state %s after %d attempts, want failed by the first: no other can be in time", i.State, i.Attempt)
				}
				if took := time.Since(start); took != 5*time.Second || !errors.Is(cause, functions.ErrJobDeadline) {
					t.Errorf("%v after %v, want the deadline after 5s", cause, took)
				}
			})
		})
		t.Run("cancellation and heartbeats, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cause error
				d, set := steppingDesk(t, handle(waiting(&cause)))
				start := time.Now()
				stopped(t.Context(), t, d, &cause, func(id string) {
					set(step)
					time.Sleep(7 * time.Second)
					if _, err := d.store.RequestCancel(t.Context(), id, "enough", store.At(time.Now())); err != nil {
						t.Error(err)
					}
				})
				if took := time.Since(start); took > 11*time.Second || !errors.Is(cause, functions.ErrCancelRequested) {
					t.Errorf("%v after %v, want the cancellation after 8s and a poll", cause, took)
				}
			})
		})
		t.Run("deadline of the platform, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cause error
				d, set := steppingDesk(t, handle(waiting(&cause)))
				start, limit := time.Now(), time.Minute
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				stopped(ctx, t, d, &cause, func(string) { set(step) })
				if took, want := time.Since(start), limit-d.Config().Margin; took != want || !errors.Is(cause, functions.ErrPlatformDeadline) {
					t.Errorf("%v after %v, want the platform's deadline after %v", cause, took, want)
				}
			})
		})
		t.Run("a store that is away, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cause error
				d, set := steppingDesk(t, handle(waiting(&cause)))
				start := time.Now()
				id := d.submit(t, "shop.order", order{})
				go func() {
					set(step)
					d.storeFails()
				}()
				d.Execute(t.Context(), d.take()[0].msg)
				if took := time.Since(start); took < time.Second || took > 3*time.Second || !errors.Is(cause, functions.ErrLeaseLost) {
					t.Errorf("%v after %v, want the lease of 2s to be lost", cause, took)
				}
				d.storeWorks()
				if i := d.get(t, id); i.State != store.Running {
					t.Errorf("state %s, want running for sweep to end it", i.State)
				}
			})
		})
	}
}

// steppingDesk is a desk in virtual time with a lease of 2 seconds. The function that it returns
// waits a second and sets its wall clock.
func steppingDesk(t *testing.T, reg *functions.Registry) (*desk, func(by time.Duration)) {
	t.Helper()
	var step atomic.Int64
	start := time.Now()
	d := newDesk(t, reg, func(s *setup) {
		s.timing = store.Timing{Lease: 2 * time.Second, Grace: 2 * time.Second}
		s.config.Now = func() time.Time { return apart(t, time.Now().Add(time.Duration(step.Load())), time.Since(start)+1) }
	})
	return d, func(by time.Duration) {
		time.Sleep(time.Second) // virtual time
		step.Store(int64(by))
	}
}
