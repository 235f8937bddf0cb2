package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/internal/engine"
	"github.com/piecework/piecework/store/relay"
)

var errStorm = errors.New("connection reset by peer") // gcerrors.Unknown: applied or not

func TestALostAnswerIsRecognisedByEachVerb(t *testing.T) {
	verbs := map[string]func(t *testing.T, l *lab, j Job) (Job, error){
		"create": func(t *testing.T, l *lab, _ Job) (Job, error) {
			return l.Create(t.Context(), l.NewJob(Job{ID: "job-2", Kind: "a.b"}, false, t0))
		},
		"claim": func(t *testing.T, l *lab, _ Job) (Job, error) {
			l.queue(t, "job-2")
			return l.Claim(t.Context(), "job-2", Claim{Token: "t2", Now: t0})
		},
		"keep": func(t *testing.T, l *lab, j Job) (Job, error) {
			return l.Heartbeat(t.Context(), j, Heartbeat{Token: "t1", Now: t0 + 1})
		},
		"finish": func(t *testing.T, l *lab, j Job) (Job, error) {
			return l.Finish(t.Context(), j, Finish{Token: "t1", Now: t0 + 1, Outcome: OutcomeSuccess})
		},
		"cancel": func(t *testing.T, l *lab, j Job) (Job, error) { return l.RequestCancel(t.Context(), j.ID, "r", t0) },
		"look": func(t *testing.T, l *lab, j Job) (Job, error) {
			j, looked, err := l.AdvanceDue(t.Context(), j, AdvanceDue{Now: t0 + 10_000_000, Delay: func(Job) time.Duration { return 0 }})
			if looked != ActionLost { // its message would not be sent
				t.Errorf("AdvanceDue did %q, want %q", looked, ActionLost)
			}
			return j, err
		},
	}
	for name, verb := range verbs {
		for _, applied := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				onEach(t, func(t *testing.T, l *lab) {
					j := l.running(t, "job-1", "t1")
					failed := false
					l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
						if !writes(acts) || failed || l.setup {
							return next(ctx, acts)
						}
						failed = true
						if applied {
							if err := next(ctx, acts); err != nil {
								return err
							}
						}
						return allFail(acts, errStorm)
					}
					got, err := verb(t, l, j)
					if err != nil {
						t.Fatal(err)
					}
					if there := l.read(t, got.ID); there.Write != got.Write || there.State != got.State || there.Run > 1 {
						t.Errorf("stored %+v\nwant what was returned: %+v", there, got)
					}
					if !failed {
						t.Error("nothing was written, want a write whose answer is lost")
					}
				})
			})
		}
	}
}

// queue creates a job without faults.
func (l *lab) queue(t *testing.T, id string) {
	t.Helper()
	l.setup = true
	defer func() { l.setup = false }()
	l.queued(t, id)
}

func TestAConflictIsReadAndTriedAgain(t *testing.T) {
	for _, code := range []gcerrors.ErrorCode{gcerrors.FailedPrecondition, gcerrors.NotFound, gcerrors.AlreadyExists} {
		onEach(t, func(t *testing.T, l *lab) {
			j := l.running(t, "job-1", "t1")
			rounds := 0
			l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
				if !writes(acts) || rounds == 3 {
					return next(ctx, acts)
				}
				rounds++
				poison(acts)
				return allFail(acts, relay.Error{Code: code})
			}
			if _, err := l.Finish(t.Context(), j, Finish{Token: "t1", Now: t0 + 1, Outcome: OutcomeSuccess}); err != nil {
				t.Fatal(err)
			}
			if got := l.read(t, "job-1"); got.State != Succeeded {
				t.Errorf("state %s, want %s", got.State, Succeeded)
			}
		})
	}
}

// poison does what the MongoDB driver does to the documents of a write that failed: it overwrites
// their revisions.
func poison(acts []*driver.Action) {
	for _, a := range acts {
		if r, ok := a.Doc.Origin.(*engine.Doc); ok {
			r.Rev = "poisoned"
		}
	}
}

func TestALostRaceIsAppliedToWhatIsThere(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		j := l.running(t, "job-1", "t1")
		if _, err := l.RequestCancel(t.Context(), "job-1", "enough", t0+1); err != nil {
			t.Fatal(err)
		}
		kept, err := l.Heartbeat(t.Context(), j, Heartbeat{Token: "t1", Now: t0 + 2}) // with the record as it was before
		if err != nil || kept.Cancel == 0 || kept.CancelReason != "enough" {
			t.Errorf("error %v, cancel %d, reason %q, want the cancellation that was requested", err, kept.Cancel, kept.CancelReason)
		}
	})
}

func TestConflictsWithoutEndAreAnError(t *testing.T) {
	l := newLab(t, openMemory(t))
	j := l.running(t, "job-1", "t1")
	tries := 0
	l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if !writes(acts) {
			return next(ctx, acts)
		}
		if tries++; tries > 1000 {
			t.Fatal("it tries more than 1000 times, want it to give up")
		}
		return allFail(acts, relay.Error{Code: gcerrors.FailedPrecondition})
	}
	_, err := l.Heartbeat(t.Context(), j, Heartbeat{Token: "t1", Now: t0})
	wantErr(t, err, ErrUnavailable)
}

func TestPatienceEndsInUnavailable(t *testing.T) {
	verbs := map[string]func(ctx context.Context, l *lab, j Job) error{
		"get": func(ctx context.Context, l *lab, _ Job) error { _, err := l.Get(ctx, "job-1"); return err },
		"create": func(ctx context.Context, l *lab, _ Job) error {
			_, err := l.Create(ctx, l.NewJob(Job{ID: "x"}, false, t0))
			return err
		},
		"finish": func(ctx context.Context, l *lab, j Job) error {
			_, err := l.Finish(ctx, j, Finish{Token: "t1", Now: t0})
			return err
		},
		"createMany": func(ctx context.Context, l *lab, _ Job) error {
			return l.CreateMany(ctx, []Job{l.NewJob(Job{ID: "x"}, false, t0)})[0].Err
		},
		"delete": func(ctx context.Context, l *lab, j Job) error { _, err := l.Delete(ctx, j); return err },
		"addKinds": func(ctx context.Context, l *lab, _ Job) error {
			_, err := l.AddKinds(ctx, t0, KindSpec{Name: "a.b"})
			return err
		},
		"kinds":  func(ctx context.Context, l *lab, _ Job) error { _, err := l.Kinds(ctx); return err },
		"park":   func(ctx context.Context, l *lab, _ Job) error { _, err := l.Park(ctx, Parked{ID: "p"}); return err },
		"unpark": func(ctx context.Context, l *lab, _ Job) error { _, err := l.Unpark(ctx, Parked{ID: "p"}); return err },
		"due":    func(ctx context.Context, l *lab, _ Job) error { _, err := l.Due(ctx, 0, t0, "", 1); return err },
		"list": func(ctx context.Context, l *lab, _ Job) error {
			_, err := l.List(ctx, Filter{States: []State{Failed}}, 1, "")
			return err
		},
		"parked": func(ctx context.Context, l *lab, _ Job) error { _, _, err := l.Parked(ctx, 1, ""); return err },
	}
	for name, verb := range verbs {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, openMemory(t))
			j := l.running(t, "job-1", "t1")
			l.breakDown()
			wantErr(t, verb(t.Context(), l, j), ErrUnavailable)
			if l.paused < 10*time.Second {
				t.Errorf("gave up after %v, want at least 10s", l.paused)
			}
		})
		t.Run(name+", cancelled", func(t *testing.T) {
			l := newLab(t, openMemory(t))
			j := l.running(t, "job-1", "t1")
			ctx, cancel := context.WithCancel(t.Context())
			l.actions = func(context.Context, []*driver.Action, relay.Run) driver.ActionListError {
				cancel()
				return driver.ActionListError{{Index: -1, Err: relay.Error{Code: gcerrors.Canceled}}} // as gRPC's, it is none of context's
			}
			l.query = func(context.Context, *driver.Query, relay.Ask) (driver.DocumentIterator, error) {
				cancel()
				return nil, relay.Error{Code: gcerrors.Canceled}
			}
			wantErr(t, verb(ctx, l, j), context.Canceled)
			if l.paused > time.Second {
				t.Errorf("went on for %v after the caller had gone, want at most 1s", l.paused)
			}
		})
	}
}

// breakDown makes the store answer nothing any more.
func (l *lab) breakDown() {
	l.actions = func(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
		return allFail(acts, errStorm)
	}
	l.query = func(context.Context, *driver.Query, relay.Ask) (driver.DocumentIterator, error) { return nil, errStorm }
}

func TestVerbsGoOnWhenTheStoreComesBack(t *testing.T) {
	l := newLab(t, openMemory(t))
	j := l.running(t, "job-1", "t1")
	left := 5
	l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if left--; left > 0 {
			return allFail(acts, errStorm)
		}
		return next(ctx, acts)
	}
	queries := 5
	l.query = func(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error) {
		if queries--; queries > 0 {
			return nil, errStorm
		}
		return next(ctx, q)
	}
	if _, err := l.Finish(t.Context(), j, Finish{Token: "t1", Now: t0, Outcome: OutcomeError, Permanent: true}); err != nil {
		t.Fatal(err)
	}
	page, err := l.List(t.Context(), Filter{States: []State{Failed}}, 10, "")
	if err != nil || len(page.Jobs) != 1 {
		t.Errorf("jobs %v, error %v, want one job", page.Jobs, err)
	}
	if l.paused == 0 {
		t.Error("it did not pause, want a pause before the next try")
	}
}

func TestWhatWillNotHelpIsNotRepeated(t *testing.T) {
	l := newLab(t, openMemory(t))
	tries := 0
	l.actions = func(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
		tries++
		return allFail(acts, relay.Error{Code: gcerrors.PermissionDenied})
	}
	if _, err := l.Get(t.Context(), "job-1"); err == nil || errors.Is(err, ErrUnavailable) || tries != 1 {
		t.Errorf("error %v after %d tries, want the refusal after one", err, tries)
	}
}

func TestPauseEndsWithItsContext(t *testing.T) {
	s, err := New(openMemory(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := s.Pause(ctx, time.Millisecond); err != nil {
		t.Error(err)
	}
	cancel(errStorm)
	wantErr(t, s.Pause(ctx, time.Hour), errStorm)
}

// A verb that is ended while it waits for the store says both: why its context ended, and that it
// did.
func TestAVerbThatEndsInAPauseSaysThatItsContextEnded(t *testing.T) {
	l := newLab(t, openMemory(t))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the worker stops")
	l.actions = func(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
		return allFail(acts, errStorm)
	}
	l.opts.Pause = func(ctx context.Context, _ time.Duration) error {
		cancel(why)
		return context.Cause(ctx)
	}
	_, err := l.Get(ctx, "job-1")
	for _, want := range []error{context.Canceled, why, ErrUnavailable} {
		wantErr(t, err, want)
	}
}

// A creation whose answer was lost is known as one's own by its token, whatever became of the job
// before it is tried again: it may have been cancelled, and requeued.
func TestACreationIsKnownAfterTheJobWentOn(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		var creations int
		l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if acts[0].Kind != driver.Create {
				return next(ctx, acts)
			}
			if creations++; creations == 1 {
				_ = next(ctx, acts)
				return allFail(acts, errStorm)
			}
			if _, err := l.RequestCancel(ctx, "job-1", "", t0+1); err != nil {
				t.Error(err)
			}
			if _, err := l.Requeue(ctx, "job-1", t0+2); err != nil {
				t.Error(err)
			}
			return next(ctx, acts)
		}
		j, err := l.Create(t.Context(), l.NewJob(Job{ID: "job-1", Kind: "a.b"}, false, t0))
		if err != nil || creations != 2 || j.Requeued == "" {
			t.Errorf("error %v after %d tries: %+v, want the requeued job after 2", err, creations, j)
		}
	})
}
