package functions_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// misbehaviours are what code of the program may do in place of returning.
var misbehaviours = map[string]func(){
	"panic":  func() { panic("boom") },
	"Goexit": func() { runtime.Goexit() },
	"hang":   func() { time.Sleep(24 * time.Hour) }, // virtual time
}

// wantState fails the test unless the job is in that state.
func wantState(t *testing.T, i functions.Info, want store.State) {
	t.Helper()
	if i.State != want {
		t.Errorf("state = %s, want %s (error %q, attempts %+v)", i.State, want, i.Error, i.Attempts)
	}
}

// wantOutcome fails the test unless the job's last attempt ended so, with a text that has all the
// parts.
func wantOutcome(t *testing.T, i functions.Info, want store.Outcome, parts ...string) {
	t.Helper()
	if len(i.Attempts) == 0 {
		t.Fatalf("no attempt has ended, want one that ended in %s; the job is %s", want, i.State)
	}
	a := i.Attempts[len(i.Attempts)-1]
	if a.Outcome != want {
		t.Errorf("outcome = %s, want %s (error %q)", a.Outcome, want, a.Error)
	}
	for _, p := range parts {
		if !strings.Contains(a.Error, p) {
			t.Errorf("error = %q, want one that says %q", a.Error, p)
		}
	}
}

// settled ends a bubble: functions that were left behind return.
func settled() {
	time.Sleep(48 * time.Hour) // virtual time
	synctest.Wait()
}

func TestTheDefaultPolicyStandsInForARetryFunctionThatFails(t *testing.T) {
	for name, misbehave := range misbehaviours {
		for _, lost := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDesk(t, handle(failing, functions.RetryBy(func(int, string) time.Duration {
						misbehave()
						return 0
					})), bubble)
					id := d.submit(t, "shop.order", order{})
					if lost {
						d.Claim(t.Context(), d.take()[0].msg)
						time.Sleep(2 * d.Timing().Lease)
						if r := d.sweep(t); r.Lost != 1 || r.Failures != 0 {
							t.Errorf("sweep lost %d and failed for %d, want 1 and 0", r.Lost, r.Failures)
						}
					} else {
						d.Execute(t.Context(), d.take()[0].msg)
					}
					i := d.get(t, id)
					wantState(t, i, store.Retrying)
					if wait := i.At.Sub(i.Attempts[0].End); wait < functions.DefaultRetryMin || wait > 2*functions.DefaultRetryMin {
						t.Errorf("the next attempt comes after %v, want the default policy's 1s to 2s", wait)
					}
					if !d.logged("retry function failed", "job="+id, "kind=shop.order", "attempt=1") {
						t.Errorf("log = %s, want a line about the retry function", &d.log)
					}
					settled()
				})
			})
		}
	}
}

func TestSweepOutlivesAPanicOverOneRecord(t *testing.T) {
	d := newDesk(t, handle(failing))
	bad := d.submit(t, "shop.order", order{})
	d.submit(t, "shop.order", order{})
	d.advance(time.Hour)
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if acts[0].Kind != driver.Get && acts[0].Key == bad {
			panic("driver")
		}
		return next(ctx, acts)
	}
	if r := d.sweep(t); r.Failures != 1 || r.Resent != 1 {
		t.Errorf("%d failures and %d sent again, want 1 and 1", r.Failures, r.Resent)
	}
	if !d.logged("sweep could not deal with a record", "job="+bad, "panic: driver") {
		t.Errorf("log = %s, want a line about %s", &d.log, bad)
	}
}

func TestAnEndHookThatFailsIsCalledAgain(t *testing.T) {
	for name, misbehave := range misbehaviours {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls, running, most atomic.Int64
				reg := handle(echoing)
				reg.OnEnd(func(context.Context, functions.Info) error {
					most.Store(max(most.Load(), running.Add(1)))
					defer running.Add(-1)
					if calls.Add(1) == 1 {
						misbehave()
					}
					return nil
				})
				d := newDesk(t, reg, bubble)
				id := d.submit(t, "shop.order", order{})
				start := time.Now()
				d.drain(t)
				if took := time.Since(start); took > 31*time.Second {
					t.Errorf("the attempt took %v, want at most the hook's 30s and a second", took)
				}
				if !d.logged("end hook failed; sweep will call it again", "job="+id) {
					t.Errorf("log = %s, want a line about the hook", &d.log)
				}
				for range 20 {
					time.Sleep(2 * time.Hour)
					d.sweep(t)
				}
				if calls.Load() != 2 || most.Load() != 1 {
					t.Errorf("%d calls, %d at once, want 2 calls, one after the other", calls.Load(), most.Load())
				}
				if n, want := d.Stats().CallsAbandoned.Load(), int64(0); name != "hang" && n != want || name == "hang" && n != 1 {
					t.Errorf("%d calls were abandoned", n)
				}
				wantState(t, d.get(t, id), store.Succeeded)
				settled()
			})
		})
	}
}

// Hooks that hang cost a sweep no more time together than one of them may take, for each batch of
// records.
func TestHooksThatHangDoNotKeepSweepFromWhatElseIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := handle(failing, functions.MaxAttempts(1))
		reg.OnEnd(func(ctx context.Context, _ functions.Info) error {
			<-ctx.Done()
			return ctx.Err()
		})
		d := newDesk(t, reg, bubble, func(s *setup) { s.config.HookTimeout, s.config.Parallel = 5*time.Second, 1 })
		for range 90 {
			d.submit(t, "shop.order", order{}, functions.Deadline(time.Second))
		}
		for _, round := range []string{"that ends the jobs", "that calls their hooks again"} {
			time.Sleep(time.Hour)
			start := time.Now()
			r := d.sweep(t)
			if r.Looked != 90 || r.Settled != 0 || r.Failures != 0 {
				t.Errorf("the sweep %s looked at %d records, settled %d and failed for %d, want 90, 0 and 0", round, r.Looked, r.Settled, r.Failures)
			}
			if took, most := time.Since(start), 16*5*time.Second; took > most {
				t.Errorf("the sweep %s took %v, want at most %v: 5s for each of 16 shards", round, took, most)
			}
		}
	})
}

// An outbox that fails is tried again later each time.
func TestAHookThatKeepsFailingIsPutOffLonger(t *testing.T) {
	calls := 0
	reg := handle(echoing)
	reg.OnEnd(func(context.Context, functions.Info) error { calls++; return errors.New("away") })
	d := newDesk(t, reg)
	id := d.submit(t, "shop.order", order{})
	d.drain(t)
	var last time.Duration
	for n := range 5 {
		j, err := d.store.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		wait := j.Due.Time().Sub(d.clock())
		if wait <= last && last < d.Timing().MaxGrace {
			t.Errorf("after %d failures the hook is due in %v, want longer than the %v before", n+1, wait, last)
		}
		last = wait
		d.advance(wait)
		d.sweep(t)
		if calls != n+2 {
			t.Errorf("%d calls, want %d", calls, n+2)
		}
	}
}

// On a platform with a deadline the hooks end before it, so that what they did can be written.
func TestAnEndHookEndsBeforeThePlatformsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := handle(func(ctx context.Context, _ *functions.Job[order]) (order, error) {
			<-ctx.Done()
			return order{}, functions.Skip("late")
		})
		reg.OnEnd(func(ctx context.Context, _ functions.Info) error {
			<-ctx.Done()
			return ctx.Err()
		})
		d := newDesk(t, reg, bubble)
		d.submit(t, "shop.order", order{})
		ctx := invocation(t)
		start := time.Now()
		d.Execute(ctx, d.take()[0].msg)
		if took, want := time.Since(start), 15*time.Minute-1625*time.Millisecond; took != want {
			t.Errorf("the attempt took %v, want %v: nine tenths of the time until a quarter of the margin before the deadline", took, want)
		}
	})
}

// code is an argument whose reading or writing misbehaves.
type code string

func (c *code) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if misbehave := misbehaviours[s]; misbehave != nil {
		misbehave()
	}
	*c = code(s)
	return nil
}

func (c code) MarshalJSON() ([]byte, error) {
	if misbehave := misbehaviours[string(c)]; misbehave != nil {
		misbehave()
	}
	return json.Marshal(string(c))
}

func TestArgumentsWhoseReadingFailsAreRefused(t *testing.T) {
	for name := range misbehaviours {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := functions.NewRegistry()
				functions.Handle(reg, "order", func(context.Context, *functions.Job[code]) (int, error) { return 1, nil })
				reg.Trigger(trigger.FromMessage("theirs", func(m functions.Message) ([]functions.Submission, error) {
					misbehaviours[m.Metadata["do"]]()
					return nil, nil
				}))
				d := newDesk(t, reg, bubble)
				for _, args := range []any{json.RawMessage(`"` + name + `"`), code(name)} {
					_, err := d.Client().Submit(t.Context(), "order", args)
					wantErr(t, err, functions.ErrInvalid, "arguments")
				}
				for _, in := range []functions.Incoming{
					{Body: []byte(`{"kind":"order","args":"` + name + `"}`), Deliveries: 1},
					{Body: []byte(`[]`), Metadata: map[string]string{"do": name}, Deliveries: 1},
				} {
					if out := d.Accept(t.Context(), in); out.Verdict != functions.Ack || out.Err == nil {
						t.Errorf("message %s: verdict %s, error %v; want it parked", in.Body, out.Verdict, out.Err)
					}
				}
				parked, _, err := d.Client().Parked(t.Context(), 10, "")
				if err != nil || len(parked) != 2 {
					t.Errorf("%d messages parked, error %v; want 2", len(parked), err)
				}
				for _, p := range parked {
					if name == "panic" && !strings.Contains(p.Reason, "panic: boom") {
						t.Errorf("reason = %q, want the panic", p.Reason)
					}
				}
				settled()
			})
		})
	}
}

// faulty is an error that panics when it is a nil pointer.
type faulty struct{ text string }

func (e *faulty) Error() string { return e.text }

// hollow is an error that panics when it is compared.
type hollow struct{}

func (hollow) Error() string   { return "hollow" }
func (hollow) Is(error) bool   { panic("Is") }
func (hollow) As(any) bool     { panic("As") }
func (hollow) Unwrap() []error { panic("Unwrap") }

func TestAnErrorWithMethodsThatPanicEndsTheAttemptAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		err      error
		attempts int
	}{
		"nil pointer":           {(*faulty)(nil), 2},
		"permanent nil pointer": {functions.Permanent((*faulty)(nil)), 1},
		"panics when compared":  {hollow{}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, handle(func(context.Context, *functions.Job[order]) (order, error) { return order{}, c.err },
				functions.MaxAttempts(2), functions.Retries(functions.Constant(0))))
			i := d.once(t, "shop.order", order{})
			wantState(t, i, store.Failed)
			wantOutcome(t, i, store.OutcomePanic, "panic: ")
			if a := i.Attempts[len(i.Attempts)-1]; len(i.Attempts) != c.attempts || !strings.Contains(a.Stack, "guard") {
				t.Errorf("%d attempts, stack %q; want %d, with the stack", len(i.Attempts), a.Stack, c.attempts)
			}
		})
	}
}

func TestAHookOrOpenerMayReturnAnErrorThatPanics(t *testing.T) {
	reg := functions.NewRegistry()
	res := functions.Share(reg, "db", func(context.Context) (int, error) { return 0, (*faulty)(nil) }, nil)
	functions.Handle(reg, "shop.order", func(ctx context.Context, _ *functions.Job[order]) (int, error) { return res.Get(ctx) },
		functions.MaxAttempts(1))
	reg.OnEnd(func(context.Context, functions.Info) error { return hollow{} })
	d := newDesk(t, reg)
	i := d.once(t, "shop.order", order{})
	wantOutcome(t, i, store.OutcomePanic, "resource cannot be opened: db: panic: ")
	if !d.logged("end hook failed", "hollow", "job="+i.ID) {
		t.Errorf("log = %s, want a line about the hook", &d.log)
	}
}

func TestACheckpointThatCannotBeEncodedIsAnError(t *testing.T) {
	var saved error
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		if job.Args.Item == "continue" {
			return order{}, functions.Continue(shy{})
		}
		saved = job.Checkpoint(ctx, shy{})
		return order{}, nil
	}, functions.MaxAttempts(1)))
	wantState(t, d.once(t, "shop.order", order{}), store.Succeeded)
	if saved == nil || !strings.Contains(saved.Error(), "panic: shy") {
		t.Errorf("Checkpoint gave %v, want the panic", saved)
	}
	i := d.once(t, "shop.order", order{Item: "continue"})
	wantState(t, i, store.Failed)
	wantOutcome(t, i, store.OutcomePanic, "checkpoint of job", "panic: shy")
}

func TestResultsAndCheckpointsWhoseReadingPanics(t *testing.T) {
	if _, err := resultOf[code](functions.Info{State: store.Succeeded, Result: json.RawMessage(`"panic"`)}); err == nil ||
		!strings.Contains(err.Error(), "panic: boom") {
		t.Errorf("ResultOf gave %v, want the panic", err)
	}
	var loaded error
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		var c code
		if there, err := job.LoadCheckpoint(ctx, &c); there || err != nil {
			loaded = err
			return order{}, nil //nolint:nilerr // the test looks at it
		}
		return order{}, functions.Continue("panic")
	}))
	d.once(t, "shop.order", order{})
	if loaded == nil || !strings.Contains(loaded.Error(), "panic: boom") {
		t.Errorf("LoadCheckpoint gave %v, want the panic", loaded)
	}
}
