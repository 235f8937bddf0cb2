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

	"gocloud.dev/blob"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
	"github.com/piecework/piecework/tests/fault"
)

// What a handler writes that was left behind is refused, and leaves no files.
func TestAHandlerThatWasLeftBehindWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		gone := make(chan struct{})
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			defer close(gone)
			<-over
			ctx = context.WithoutCancel(ctx)
			if w, err := job.Output(ctx, "late.txt"); err == nil {
				_, werr := io.WriteString(w, "too late")
				t.Errorf("output was opened; write: %v, close: %v", werr, w.Close())
			}
			if err := job.Checkpoint(ctx, strings.Repeat("x", 2*store.MaxInline)); err == nil {
				t.Error("the checkpoint was saved")
			}
			return order{Count: 1}, nil
		}, functions.Timeout(time.Minute), functions.MaxAttempts(1)), bubble)
		i := d.once(t, "shop.order", order{})
		if i.State != store.Failed {
			t.Fatalf("job = %+v; want State = Failed", i)
		}
		close(over)
		<-gone
		synctest.Wait()
		if files := d.files(t); len(files) != 0 {
			t.Errorf("files are left: %v", files)
		}
	})
}

// What a handler saves after it has returned is refused, and leaves no files; the store is not
// asked.
func TestACheckpointAfterTheReturnIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		late := make(chan error, 1)
		returned := make(chan struct{})
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			go func() {
				<-returned
				calls.Store(0)
				late <- job.Checkpoint(context.WithoutCancel(ctx), strings.Repeat("x", 2*store.MaxInline))
			}()
			return order{}, nil
		}), bubble)
		d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			calls.Add(1)
			return next(ctx, acts)
		}
		i := d.once(t, "shop.order", order{})
		close(returned)
		if err := <-late; !errors.Is(err, functions.ErrLeaseLost) {
			t.Errorf("checkpoint: %v, want %v", err, functions.ErrLeaseLost)
		}
		if n := calls.Load(); n != 0 {
			t.Errorf("%d calls of the store, want none", n)
		}
		if files := d.files(t); len(files) != 0 {
			t.Errorf("files %v, want none", files)
		}
		if got := d.get(t, i.ID); got.State != store.Succeeded {
			t.Errorf("state %s, want succeeded", got.State)
		}
	})
}

// stuck holds up the writing of files until something ends it.
type stuck struct {
	obeys bool // the end of the context is one such thing
	until chan struct{}
}

func (s *stuck) Before(ctx context.Context, op fault.Op) fault.Fate {
	if op.Verb != "write" {
		return fault.Fate{}
	}
	done := ctx.Done()
	if !s.obeys {
		done = nil
	}
	select {
	case <-done:
	case <-s.until:
	}
	return fault.Fate{}
}

func (*stuck) After(context.Context, fault.Op) {}

// over returns a runtime over the desk's store and queue and a bucket with faults, and the bucket's
// files.
func (d *desk) over(t *testing.T, hook fault.Hook) (*functions.Runtime, *fault.Blobs) {
	t.Helper()
	files := &fault.Blobs{Hook: hook}
	return d.overBucket(t, blob.NewBucket(files)), files
}

// A handler that hangs in a write to a bucket that does not answer is left behind like any other,
// whatever context it gave the output, and also if the driver of the bucket does not care for
// contexts.
func TestAHandlerThatHangsInAWriteIsLeftBehind(t *testing.T) {
	for name, obeys := range map[string]bool{"the driver obeys": true, "the driver does not": false} {
		t.Run(name, func(t *testing.T) {
			hook, gone := &stuck{obeys, make(chan struct{})}, make(chan error, 1)
			d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
				w, err := job.Output(context.WithoutCancel(ctx), "a.txt")
				if err == nil {
					_, err = io.WriteString(w, "text")
				}
				if err == nil {
					err = w.Close()
				}
				gone <- err
				return order{}, nil
			}, functions.Timeout(time.Millisecond), functions.MaxAttempts(1)), func(s *setup) {
				s.real, s.config.StopGrace, s.config.Margin = true, time.Millisecond, 10*time.Millisecond
			})
			rt, files := d.over(t, hook)
			ended := make(chan functions.Outcome, 1)
			id := d.submit(t, "shop.order", order{})
			go func() { ended <- rt.Execute(t.Context(), d.take()[0].msg) }()
			select {
			case out := <-ended:
				if i := d.get(t, id); i.State != store.Failed {
					t.Errorf("outcome = %+v, job = %+v; want State = Failed", out, i)
				}
			case <-time.After(10 * time.Second):
				t.Error("it hangs with the handler")
			}
			close(hook.until)
			if err := <-gone; !errors.Is(err, functions.ErrLeaseLost) && !errors.Is(err, context.Canceled) {
				t.Errorf("the handler's write: %v", err)
			}
			if keys := files.Keys(); len(keys) != 0 {
				t.Errorf("files are left: %v", keys)
			}
		})
	}
}

// A checkpoint that the handler did not wait for ends with the attempt, and leaves no files;
// whether the bucket cares for contexts, or writes the file long after the attempt's end.
func TestACheckpointThatTheHandlerDidNotWaitFor(t *testing.T) {
	for name, c := range map[string]struct {
		obeys bool
		ends  error
		want  store.State
	}{
		"of a job that succeeds":                    {true, nil, store.Succeeded},
		"of a job that fails":                       {true, errors.New("no"), store.Failed},
		"of a job that fails, and it does not obey": {false, errors.New("no"), store.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hook, late := &stuck{c.obeys, make(chan struct{})}, make(chan error, 1)
				d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
					go func() {
						late <- job.Checkpoint(context.WithoutCancel(ctx), strings.Repeat("x", 2*store.MaxInline))
					}()
					synctest.Wait() // until the write hangs
					return order{}, c.ends
				}, functions.MaxAttempts(1)), bubble)
				rt, files := d.over(t, hook)
				id := d.submit(t, "shop.order", order{})
				start := time.Now()
				out := rt.Execute(t.Context(), d.take()[0].msg)
				if i := d.get(t, id); i.State != c.want || time.Since(start) > time.Second {
					t.Errorf("the job is %s after %v (%+v), want %s at once", i.State, time.Since(start), out, c.want)
				}
				close(hook.until)
				if err := <-late; !errors.Is(err, functions.ErrLeaseLost) {
					t.Errorf("checkpoint: %v, want %v", err, functions.ErrLeaseLost)
				}
				if keys := files.Keys(); len(keys) != 0 {
					t.Errorf("files are left: %v", keys)
				}
			})
		})
	}
}

// A checkpoint that the attempt's end cancels says nothing of the lease: the attempt ends as its
// handler did. An output that is still being closed gives the checkpoint the time to fail first.
func TestACancelledCheckpointDoesNotLoseTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook, late := &stuck{false, make(chan struct{})}, make(chan error, 1)
		var saving atomic.Bool
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			w, err := job.Output(ctx, "a.txt")
			if err != nil {
				return order{}, err
			}
			saving.Store(true)
			go func() { late <- job.Checkpoint(context.WithoutCancel(ctx), 1) }()
			synctest.Wait() // until the store hangs
			if _, err := io.WriteString(w, "text"); err != nil {
				return order{}, err
			}
			go func() { _ = w.Close() }()
			synctest.Wait() // until the bucket hangs
			return order{}, errors.New("no")
		}, functions.MaxAttempts(2)), bubble)
		d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if acts[0].Kind != driver.Update || !saving.CompareAndSwap(true, false) {
				return next(ctx, acts)
			}
			<-ctx.Done()
			return driver.ActionListError{{Index: -1, Err: context.Cause(ctx)}}
		}
		rt, files := d.over(t, hook)
		id := d.submit(t, "shop.order", order{})
		ended := make(chan functions.Outcome, 1)
		go func() { ended <- rt.Execute(t.Context(), d.take()[0].msg) }()
		if err := <-late; !errors.Is(err, functions.ErrLeaseLost) {
			t.Errorf("checkpoint: %v, want %v", err, functions.ErrLeaseLost)
		}
		close(hook.until)
		out := <-ended
		if i := d.get(t, id); out.Verdict != functions.Ack || i.State != store.Retrying || len(i.Attempts) != 1 || i.Attempts[0].Error != "no" {
			t.Errorf("verdict %s (%v), state %s, attempts %+v; want ack, retrying and the handler's error", out.Verdict, out.Err, i.State, i.Attempts)
		}
		if n := rt.Stats().LeasesLost.Load(); n != 0 {
			t.Errorf("%d leases counted as lost, want 0", n)
		}
		if keys := files.Keys(); len(keys) != 0 {
			t.Errorf("files are left: %v", keys)
		}
	})
}

// A job that is cancelled while its outputs are being closed has its result if they are closed
// within the grace of a handler. After it they are cut off, whatever context they were opened with.
func TestACancelWhileTheOutputsAreBeingClosed(t *testing.T) {
	for name, c := range map[string]struct {
		hangs bool
		want  store.State
	}{
		"they are closed in time": {false, store.Succeeded},
		"they hang":               {true, store.Cancelled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hook := &stuck{true, make(chan struct{})}
				d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
					w, err := job.Output(context.WithoutCancel(ctx), "a.txt")
					if err == nil {
						_, err = io.WriteString(w, "text")
					}
					return order{}, err
				}), bubble)
				rt, _ := d.over(t, hook)
				id := d.submit(t, "shop.order", order{})
				ended := make(chan functions.Outcome, 1)
				go func() { ended <- rt.Execute(t.Context(), d.take()[0].msg) }()
				synctest.Wait() // until the bucket hangs
				if _, err := rt.Client().Cancel(t.Context(), id, "enough"); err != nil {
					t.Fatal(err)
				}
				told := time.Now()
				synctest.Wait()
				if !c.hangs {
					close(hook.until)
				}
				out := <-ended
				if i := d.get(t, id); i.State != c.want {
					t.Errorf("the job is %s (%+v), want %s", i.State, out, c.want)
				}
				if took := time.Since(told); took > rt.Config().StopGrace {
					t.Errorf("it ended %v after it was told to stop, want at most %v", took, rt.Config().StopGrace)
				}
			})
		})
	}
}

// brittle panics when one file is written, and holds up the others.
type brittle struct {
	stuck
	panics string
}

func (b *brittle) Before(ctx context.Context, op fault.Op) fault.Fate {
	if op.Verb == "write" && strings.HasSuffix(op.Key, b.panics) {
		panic("no such file")
	}
	return b.stuck.Before(ctx, op)
}

// A write that the handler did not wait for does not hold up the end of an attempt that failed,
// because of its handler or of another output.
func TestAWriteThatTheHandlerDidNotWaitFor(t *testing.T) {
	for name, fails := range map[string]error{"the handler fails": errors.New("no"), "another output fails": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hook, late := &brittle{stuck{true, make(chan struct{})}, "a.txt"}, make(chan error, 1)
				d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
					if _, err := job.Output(ctx, "a.txt"); err != nil {
						return order{}, err
					}
					w, err := job.Output(context.WithoutCancel(ctx), "b.txt")
					if err != nil {
						return order{}, err
					}
					go func() { late <- w.Close() }()
					synctest.Wait() // until the bucket hangs
					return order{}, fails
				}, functions.MaxAttempts(1)), bubble)
				rt, _ := d.over(t, hook)
				id := d.submit(t, "shop.order", order{})
				start := time.Now()
				out := rt.Execute(t.Context(), d.take()[0].msg)
				if i, took := d.get(t, id), time.Since(start); i.State != store.Failed || took != 0 {
					t.Errorf("the job is %s (%v) after %v, want failed at once", i.State, out.Err, took)
				}
				if err := <-late; !errors.Is(err, functions.ErrLeaseLost) && !errors.Is(err, context.Canceled) {
					t.Errorf("the write: %v, want it cancelled", err)
				}
			})
		})
	}
}

// The handler's last report is in the record, also if the write that took it ended in vain.
func TestTheLastProgressIsRecorded(t *testing.T) {
	report := func(job *functions.Job[order]) { job.Progress(7, 9, "near") }
	check := func(t *testing.T, d *desk, id string) {
		t.Helper()
		if i := d.get(t, id); i.State != store.Failed || i.Progress == nil || i.Progress.Done != 7 {
			t.Errorf("the job is %s with progress %+v, want it failed with 7 of 9", i.State, i.Progress)
		}
	}
	t.Run("the result cannot be stored", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, handle(func(_ context.Context, job *functions.Job[order]) (order, error) {
				report(job)
				return order{Item: strings.Repeat("x", 2*store.MaxInline)}, nil
			}, functions.MaxAttempts(1)), bubble)
			rt, _ := d.over(t, &brittle{panics: ""})
			id := d.submit(t, "shop.order", order{})
			rt.Execute(t.Context(), d.take()[0].msg)
			check(t, d, id)
		})
	})
	t.Run("a checkpoint is under way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var saving atomic.Bool
			d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
				report(job)
				saving.Store(true)
				go func() { _ = job.Checkpoint(context.WithoutCancel(ctx), 1) }()
				synctest.Wait() // until the store hangs
				return order{}, errors.New("no")
			}, functions.MaxAttempts(1)), bubble)
			d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
				if acts[0].Kind == driver.Update && saving.CompareAndSwap(true, false) {
					<-ctx.Done()
					return driver.ActionListError{{Index: -1, Err: context.Cause(ctx)}}
				}
				return next(ctx, acts)
			}
			id := d.submit(t, "shop.order", order{})
			d.drain(t)
			check(t, d, id)
		})
	})
}

// Outputs that hang when they are closed do not keep Run, whose caller has no timer for them, nor a
// runtime that is closed.
func TestOutputsThatHangAreCutOff(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, rt *functions.Runtime, id string) error{
		"Run is told to stop": func(t *testing.T, rt *functions.Runtime, id string) error {
			t.Helper()
			_, err := rt.Client().Cancel(t.Context(), id, "enough")
			return err
		},
		"the runtime is closed": func(_ *testing.T, rt *functions.Runtime, _ string) error { return rt.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
					_, err := job.Output(ctx, "a.txt")
					return order{}, err
				}), bubble)
				rt, _ := d.over(t, &stuck{true, make(chan struct{})})
				id := d.submit(t, "shop.order", order{})
				a := rt.Claim(t.Context(), d.take()[0].msg)[0].Attempt
				ended := make(chan functions.Outcome, 1)
				go func() {
					if name == "Run is told to stop" {
						ended <- a.Run(t.Context())
					} else {
						ended <- a.Execute(t.Context())
					}
				}()
				synctest.Wait() // until the bucket hangs
				begun := time.Now()
				if err := end(t, rt, id); err != nil {
					t.Fatal(err)
				}
				select {
				case <-ended:
				case <-time.After(24 * time.Hour):
					t.Error("the attempt has not ended after a day, want it at once")
				}
				if took := time.Since(begun); took != 0 {
					t.Errorf("it ended after %v, want at once", took)
				}
			})
		})
	}
}
