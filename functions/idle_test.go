package functions_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

func TestContinueWithoutNewsWaitsLongerEachTime(t *testing.T) {
	for name, c := range map[string]struct {
		next func(ctx context.Context, job *functions.Job[order], call int) error
		want []time.Duration // before the second call, the third and so on
	}{
		"nothing saved": {
			func(context.Context, *functions.Job[order], int) error { return functions.Continue(nil) },
			[]time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute},
		},
		"the same saved": {
			func(context.Context, *functions.Job[order], int) error { return functions.Continue("same") },
			[]time.Duration{0, 0, time.Second, 2 * time.Second},
		},
		"a pause of its own": {
			func(context.Context, *functions.Job[order], int) error {
				return functions.ContinueAfter(3*time.Second, nil)
			},
			[]time.Duration{3 * time.Second, 3 * time.Second, 3 * time.Second, 4 * time.Second},
		},
		"news each time": {
			func(_ context.Context, _ *functions.Job[order], call int) error { return functions.Continue(call) },
			[]time.Duration{0, 0, 0, 0},
		},
		"news saved before": {
			func(ctx context.Context, job *functions.Job[order], call int) error {
				if err := job.Checkpoint(ctx, call); err != nil {
					return err
				}
				return functions.Continue(nil)
			},
			[]time.Duration{0, 0, 0, 0},
		},
		"news after a while": {
			func(_ context.Context, _ *functions.Job[order], call int) error {
				if call == 4 {
					return functions.Continue(call)
				}
				return functions.Continue(nil)
			},
			[]time.Duration{0, time.Second, 2 * time.Second, 0, 0, time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			call := 0
			d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
				call++
				return order{}, c.next(ctx, job, call)
			}))
			id := d.submit(t, "shop.order", order{})
			for n, want := range c.want {
				d.Execute(t.Context(), d.take()[0].msg)
				i := d.get(t, id)
				wait := time.Duration(0)
				if i.State == store.Scheduled {
					wait = i.At.Sub(d.clock())
					d.advance(wait)
				}
				if call != n+1 || wait != want || i.Attempt != 0 {
					t.Fatalf("after call %d (want %d) the job waits %v and has used %d attempts, want %v and none", call, n+1, wait, i.Attempt, want)
				}
				if wait > d.Timing().Native {
					d.sweep(t)
				}
			}
		})
	}
}

func TestMiddlewareMustCallNextOnce(t *testing.T) {
	for name, c := range map[string]struct {
		wrap  functions.Middleware
		text  string
		calls int64
	}{
		"not at all": {
			func(context.Context, functions.Info, func(context.Context) error) error { return nil }, "returned nil without calling it", 0,
		},
		"twice": {
			func(ctx context.Context, _ functions.Info, next func(context.Context) error) error {
				_ = next(ctx)
				_ = next(ctx)
				return nil
			}, "called it 2 times", 1,
		},
		"without waiting": {
			func(ctx context.Context, _ functions.Info, next func(context.Context) error) error {
				go func() { _ = next(ctx) }()
				synctest.Wait()
				return nil
			}, "returned nil before it did", 1,
		},
		"too late": {
			func(ctx context.Context, _ functions.Info, next func(context.Context) error) error {
				time.AfterFunc(time.Hour, func() {
					if err := next(ctx); !errors.Is(err, functions.ErrMiddleware) {
						panic(err)
					}
				})
				return nil
			}, "returned nil without calling it", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				reg := handle(func(context.Context, *functions.Job[order]) (order, error) {
					calls.Add(1)
					time.Sleep(time.Minute) // virtual time
					return order{}, nil
				}, functions.MaxAttempts(1))
				reg.Use(func(ctx context.Context, _ functions.Info, next func(context.Context) error) error { return next(ctx) }, c.wrap)
				d := newDesk(t, reg, bubble)
				i := d.once(t, "shop.order", order{})
				wantState(t, i, store.Failed)
				wantOutcome(t, i, store.OutcomeError, functions.ErrMiddleware.Error(), "TestMiddlewareMustCallNextOnce", c.text)
				settled()
				if calls.Load() != c.calls {
					t.Errorf("the handler was called %d times, want %d", calls.Load(), c.calls)
				}
			})
		})
	}
}

func TestAnOpenerThatMisbehavesIsAnErrorOfThoseThatAskForIt(t *testing.T) {
	for name, misbehave := range misbehaviours {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls, closed atomic.Int64
				reg := handle(echoing)
				res := functions.Share(reg, "db", func(context.Context) (int, error) {
					if calls.Add(1) == 1 {
						misbehave()
					}
					return 7, nil
				}, func(int) error { closed.Add(1); misbehave(); return nil })
				d := newDesk(t, reg, bubble)
				for range 2 { // the second does not wait for the first opener longer than its own context allows
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					_, err := res.Get(ctx)
					if name == "hang" || calls.Load() == 1 && err != nil {
						wantErr(t, err, functions.ErrResource, "db")
					}
					cancel()
				}
				settled()
				if v, err := res.Get(t.Context()); v != 7 || err != nil {
					t.Errorf("Get gave %d and error %v, want 7", v, err)
				}
				if want := map[string]int64{"panic": 2, "Goexit": 2, "hang": 1}[name]; calls.Load() != want {
					t.Errorf("%d openers were called, want %d", calls.Load(), want)
				}
				if err := d.Close(); err == nil || closed.Load() != 1 {
					t.Errorf("Close gave %v after %d calls of the closing function, want an error and 1", err, closed.Load())
				}
				settled()
			})
		})
	}
}

func TestAResourceOpenedAfterCloseIsClosedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan int, 1)
		reg := handle(echoing)
		res := functions.Share(reg, "db", func(context.Context) (int, error) {
			time.Sleep(time.Hour) // virtual time
			return 7, nil
		}, func(v int) error { closed <- v; return nil })
		d := newDesk(t, reg, bubble)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := res.Get(ctx)
		wantErr(t, err, functions.ErrResource, "has not returned")
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		settled()
		if v := <-closed; v != 7 {
			t.Errorf("closed %d, want 7", v)
		}
		_, err = res.Get(t.Context())
		wantErr(t, err, functions.ErrClosed)
	})
}

// The arguments of a submission that made no job do not stay in the bucket.
func TestArgumentsOfASubmissionThatMadeNoJobAreRemoved(t *testing.T) {
	d := newDesk(t, handle(echoing))
	big := order{Item: strings.Repeat("x", store.MaxInline)}
	d.submit(t, "shop.order", big, functions.Key("k"))
	want := d.files(t)
	if len(want) != 1 {
		t.Fatalf("files = %v, want the arguments", want)
	}
	if r, err := d.Client().Submit(t.Context(), "shop.order", big, functions.Key("k")); err != nil || !r.Existing {
		t.Errorf("submitted again: %+v, %v; want the existing job", r, err)
	}
	big.Count = 2
	_, err := d.Client().Submit(t.Context(), "shop.order", big, functions.Key("k"))
	wantErr(t, err, functions.ErrKeyConflict)
	if got := d.files(t); !slices.Equal(got, want) {
		t.Errorf("files = %v, want those of the job alone: %v", got, want)
	}
}
