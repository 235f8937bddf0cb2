package functions_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// bubble runs a test in virtual time.
func bubble(s *setup) { s.real = true }

// stopped runs a job whose handler waits until its context is cancelled, and returns the cause that
// it saw.
func stopped(
	ctx context.Context, t *testing.T, d *desk, cause *error, during func(id string),
) functions.Info {
	t.Helper()
	id := d.submit(t, "shop.order", order{})
	if during != nil {
		go during(id)
	}
	d.Execute(ctx, d.take()[0].msg)
	synctest.Wait()
	if *cause == nil {
		t.Error("the handler was not stopped")
	}
	return d.get(t, id)
}

// waiting is a handler that waits for the end of its context and notes its cause.
func waiting(cause *error) func(context.Context, *functions.Job[order]) (order, error) {
	return func(ctx context.Context, _ *functions.Job[order]) (order, error) {
		<-ctx.Done()
		*cause = context.Cause(ctx)
		return order{}, errors.New("some library's own error")
	}
}

func TestAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		d := newDesk(t, handle(waiting(&cause), functions.Timeout(10*time.Minute), functions.MaxTimeouts(1)), bubble)
		start := time.Now()
		i := stopped(t.Context(), t, d, &cause, nil)
		if !errors.Is(cause, functions.ErrAttemptTimeout) || time.Since(start) != 10*time.Minute {
			t.Errorf("%v after %v", cause, time.Since(start))
		}
		if i.State != store.Failed || i.Attempts[0].Outcome != store.OutcomeTimeout || !strings.HasPrefix(i.Error, "attempt timeout: some") {
			t.Errorf("job = %+v; want State = Failed, Attempts[0].Outcome = OutcomeTimeout and HasPrefix(i.Error, \"attempt timeout: some\")", i)
		}
	})
}

func TestNoTimeoutIsReallyOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			if _, ok := ctx.Deadline(); ok || !job.Deadline.IsZero() || job.DeadlineNear() {
				t.Error("there is a deadline")
			}
			select {
			case <-ctx.Done():
				return order{}, context.Cause(ctx)
			case <-time.After(3 * time.Hour):
				return order{}, nil
			}
		}, functions.Timeout(0)), bubble)
		if i := d.once(t, "shop.order", order{}); i.State != store.Succeeded {
			t.Errorf("job = %+v; want State = Succeeded", i)
		}
	})
}

func TestAJobsDeadlineEndsItWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		d := newDesk(t, handle(waiting(&cause), functions.Deadline(5*time.Minute)), bubble)
		i := stopped(t.Context(), t, d, &cause, nil)
		if !errors.Is(cause, functions.ErrJobDeadline) || i.State != store.Failed || i.Attempt != 1 {
			t.Errorf("cause = %v, job = %+v; want cause ErrJobDeadline, State = Failed and Attempt = 1", cause, i)
		}
	})
}

func TestCancelStopsARunningJobHereAndElsewhere(t *testing.T) {
	for _, here := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var cause error
			d := newDesk(t, handle(waiting(&cause)), bubble)
			start := time.Now()
			i := stopped(t.Context(), t, d, &cause, func(id string) {
				synctest.Wait()
				var err error
				if here {
					_, err = d.Client().Cancel(t.Context(), id, "enough")
				} else {
					_, err = d.store.RequestCancel(t.Context(), id, "enough", store.At(time.Now()))
				}
				if err != nil {
					t.Error(err)
				}
			})
			took := time.Since(start)
			if !errors.Is(cause, functions.ErrCancelRequested) || i.State != store.Cancelled || i.Reason != "enough" {
				t.Errorf("cause = %v, job = %+v; want cause ErrCancelRequested, State = Cancelled and Reason = \"enough\"", cause, i)
			}
			if here && took != 0 || took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			if again, err := d.Client().Cancel(t.Context(), i.ID, "again"); err != nil || again.Reason != "enough" {
				t.Errorf("cancelled twice: %+v, %v", again, err)
			}
		})
	}
}

func TestAResultCountsThoughCancelWasRequested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			<-ctx.Done()
			return job.Args, nil
		}), bubble)
		id := d.submit(t, "shop.order", order{})
		go func() {
			synctest.Wait()
			if i, err := d.Client().Cancel(t.Context(), id, "enough"); err != nil || !strings.Contains(i.Waiting, "for its handler to stop") {
				t.Errorf("job = %+v, error = %v; want no error and Waiting to contain \"for its handler to stop\"", i, err)
			}
		}()
		d.drain(t)
		if i := d.get(t, id); i.State != store.Succeeded {
			t.Errorf("job = %+v; want State = Succeeded", i)
		}
		_, err := d.Client().Cancel(t.Context(), id, "")
		wantErr(t, err, store.ErrMove, "succeeded")
	})
}

func TestALostLeaseThrowsTheResultAndTheFilesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			w, err := job.Output(ctx, "a.txt")
			if err != nil {
				return order{}, err
			}
			if _, err := io.WriteString(w, "from attempt "+string(rune('0'+job.Attempt))); err != nil {
				return order{}, err
			}
			if job.Attempt > 1 {
				return order{Count: job.Attempt}, w.Close()
			}
			if err := w.Close(); err != nil {
				return order{}, err
			}
			<-ctx.Done()
			cause = context.Cause(ctx)
			if err := job.Checkpoint(context.WithoutCancel(ctx), 1); !errors.Is(err, functions.ErrLeaseLost) {
				t.Errorf("checkpoint: %v", err)
			}
			if _, err := job.Output(ctx, "b.txt"); !errors.Is(err, functions.ErrLeaseLost) {
				t.Errorf("output: %v", err)
			}
			return order{Count: job.Attempt}, nil
		}), bubble)
		id := d.submit(t, "shop.order", order{})
		first := d.take()[0].msg
		done := make(chan functions.Outcome)
		go func() { done <- d.Execute(t.Context(), first) }()
		synctest.Wait()
		d.steal(t, id)
		d.Execute(t.Context(), first) // the second attempt wins
		if out := <-done; out.Verdict != functions.Drop || !errors.Is(out.Err, functions.ErrLeaseLost) || !errors.Is(cause, functions.ErrLeaseLost) {
			t.Errorf("%+v, cause %v", out, cause)
		}
		i := d.get(t, id)
		if got, err := resultOf[order](i); err != nil || got.Count != 2 {
			t.Fatalf("job = %+v, error = %v; want no error and got.Count = 2", i, err)
		}
		if got := d.output(t, id, "a.txt"); got != "from attempt 2" {
			t.Errorf("output %q", got)
		}
		if files := d.files(t); len(files) != 1 {
			t.Errorf("files are left: %v", files)
		}
		if d.Stats().LeasesLost.Load() != 1 || !d.logged("lease lost", "job="+id, "attempt=1") {
			t.Error("nothing was said")
		}
	})
}

// steal lets sweep believe that the worker of a job has died.
func (d *desk) steal(t *testing.T, id string) {
	t.Helper()
	j, err := d.store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	j.Due = 1
	if _, looked, err := d.store.AdvanceDue(t.Context(), j, store.AdvanceDue{
		Now: store.At(time.Now().Add(time.Hour)), Delay: func(store.Job) time.Duration { return 0 },
	}); err != nil || looked != store.ActionLost {
		t.Fatal(looked, err)
	}
}

func TestAStoreThatIsAwayTooLongCostsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		d := newDesk(t, handle(waiting(&cause)), bubble)
		start := time.Now()
		id := d.submit(t, "shop.order", order{})
		m := d.take()[0].msg
		go func() {
			synctest.Wait()
			d.storeFails()
		}()
		out := d.Execute(t.Context(), m)
		d.storeWorks()
		if !errors.Is(cause, functions.ErrLeaseLost) || out.Verdict != functions.Drop || time.Since(start) > 2*d.Timing().Lease {
			t.Errorf("%v, %+v after %v", cause, out, time.Since(start))
		}
		if i := d.get(t, id); i.State != store.Running || !strings.Contains(i.Waiting, "for sweep to end its attempt, due in 58s (2000-01-01T00:02:00Z): worker test gave no heartbeat") {
			t.Errorf("job = %+v; want State = Running and Waiting to contain \"for sweep to end its attempt, due in 58s (2000-01-01T00:02:00Z): worker test gave no heartbeat\"", i)
		}
	})
}

func TestShutdownHandsTheJobBackWithoutUsingAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		d := newDesk(t, handle(waiting(&cause)), bubble)
		ctx, cancel := context.WithCancel(t.Context())
		i := stopped(ctx, t, d, &cause, func(string) {
			synctest.Wait()
			cancel()
		})
		if !errors.Is(cause, functions.ErrShutdown) || i.State != store.Queued || i.Attempt != 0 || i.Attempts[0].Outcome != store.OutcomeHandBack {
			t.Errorf("cause = %v, job = %+v; want cause ErrShutdown, State = Queued, Attempt = 0 and Attempts[0].Outcome = OutcomeHandBack", cause, i)
		}
		if msgs := d.take(); len(msgs) != 1 || d.Stats().HandedBack.Load() != 1 {
			t.Errorf("%d messages", len(msgs))
		}
	})
}

func TestDrainTellsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(func(_ context.Context, job *functions.Job[order]) (order, error) {
			for !job.DeadlineNear() {
				time.Sleep(time.Second) // virtual time
			}
			return order{}, functions.Continue(1)
		}), bubble)
		id := d.submit(t, "shop.order", order{})
		time.AfterFunc(time.Minute, d.Drain)
		d.Execute(t.Context(), d.take()[0].msg)
		if i := d.get(t, id); i.State != store.Queued || i.Attempt != 0 {
			t.Errorf("job = %+v; want State = Queued and Attempt = 0", i)
		}
	})
}

// invocation is the context of a platform that ends the process after 15 minutes.
func invocation(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestThePlatformsDeadlineContinuesWhatAdvanced(t *testing.T) {
	for _, advances := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var cause error
			d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
				if at, ok := ctx.Deadline(); !ok || !at.Equal(job.Deadline) {
					t.Errorf("deadline %v, job's %v", at, job.Deadline)
				}
				if advances {
					if err := job.Checkpoint(ctx, 1); err != nil {
						return order{}, err
					}
				}
				return waiting(&cause)(ctx, job)
			}), bubble)
			start := time.Now()
			i := stopped(invocation(t), t, d, &cause, nil)
			if !errors.Is(cause, functions.ErrPlatformDeadline) || time.Since(start) != 15*time.Minute-5*time.Second {
				t.Errorf("%v after %v", cause, time.Since(start))
			}
			if advances && (i.State != store.Queued || i.Attempt != 0) || !advances && (i.State != store.Retrying || i.Attempt != 1 || i.Attempts[0].Outcome != store.OutcomeTimeout) {
				t.Errorf("advanced %v: %+v", advances, i)
			}
		})
	}
}

func TestDeadlineNearComesBeforeTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			for !job.DeadlineNear() {
				time.Sleep(time.Second) // virtual time
			}
			if ctx.Err() != nil {
				t.Error("too late")
			}
			return order{}, functions.Continue(1)
		}), bubble)
		start := time.Now()
		d.submit(t, "shop.order", order{})
		d.Execute(invocation(t), d.take()[0].msg)
		if took := time.Since(start); took != 15*time.Minute-10*time.Second {
			t.Errorf("near after %v", took)
		}
	})
}

func TestAHandlerThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(func(context.Context, *functions.Job[order]) (order, error) {
			time.Sleep(10 * time.Hour) // virtual time
			return order{Count: 1}, nil
		}, functions.Timeout(time.Minute), functions.MaxTimeouts(1)), bubble)
		start := time.Now()
		i := d.once(t, "shop.order", order{})
		if n := d.Stats().HandlersAbandoned.Load(); n != 1 {
			t.Errorf("%d handlers are left behind by the figures, want 1", n)
		}
		if took := time.Since(start); took != 90*time.Second || i.State != store.Failed || !strings.Contains(i.Error, "did not return within 30s") {
			t.Errorf("after %v: %+v", took, i)
		}
		time.Sleep(10 * time.Hour) // virtual time: what it returns in the end is not kept
		synctest.Wait()
		if i := d.get(t, i.ID); i.State != store.Failed || len(i.Result) != 0 {
			t.Errorf("job = %+v; want State = Failed and no i.Result", i)
		}
		if n := d.Stats().HandlersAbandoned.Load(); n != 0 {
			t.Errorf("%d handlers are left behind by the figures, want 0: it has returned", n)
		}
	})
}

// The platform ends the process at its deadline. The end of the attempt is written before, also if
// the handler does not care: otherwise the job would wait for its lease to run out, and be told
// that its worker was lost.
func TestAHandlerThatIgnoresThePlatformsDeadlineIsLeftBehindBeforeIt(t *testing.T) {
	for _, saves := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
				if saves {
					if err := job.Checkpoint(ctx, 1); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(10 * time.Hour) // virtual time
				return order{}, nil
			}), bubble)
			id := d.submit(t, "shop.order", order{})
			start := time.Now()
			out := d.Execute(invocation(t), d.take()[0].msg)
			if took := time.Since(start); took != 15*time.Minute-2500*time.Millisecond || out.Verdict != functions.Ack {
				t.Errorf("ended after %v: %+v", took, out)
			}
			i := d.get(t, id)
			state, outcome := store.Retrying, store.OutcomeTimeout
			if saves {
				state, outcome = store.Queued, store.OutcomeContinued
			}
			if i.State != state || len(i.Attempts) != 1 || i.Attempts[0].Outcome != outcome {
				t.Errorf("saves %v: %+v", saves, i)
			}
			if !saves && !strings.Contains(i.Attempts[0].Error, "did not return within 2.5s") {
				t.Errorf("error %q", i.Attempts[0].Error)
			}
			time.Sleep(10 * time.Hour) // virtual time: until the handler returns
			synctest.Wait()
		})
	}
}
