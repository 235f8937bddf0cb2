package lambda_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/printed"
)

// invocation is the context of an invocation of a function with this timeout.
func invocation(t *testing.T, timeout time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	return ctx
}

// Of more messages than fit, those that have not begun when the time is up are given back
// unclaimed.
func TestWhatHasNotStartedIsHandedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sleeper(), functions.Config{})
		var ids []string
		for range 6 {
			ids = append(ids, w.kit.Submit("sleep", 15_000))
		}
		o := w.options()
		o.Concurrency = 2
		start := time.Now()
		failed, err := deliver(invocation(t, time.Minute), t, w.execute(t, o), append(hints(ids...), hints(ids[0])...))
		wantBack(t, failed, err) // 4 rounds of 15s would end after 60s; the third may start at 30s
		if took := time.Since(start); took != 45*time.Second {
			t.Errorf("took %v", took)
		}
		ids = ids[:0]
		for range 8 {
			ids = append(ids, w.kit.Submit("sleep", 20_000))
		}
		failed, err = deliver(invocation(t, time.Minute), t, w.execute(t, o), hints(ids...))
		wantBack(t, failed, err, "m6", "m7") // they could start at 60s
		for _, id := range ids[6:] {
			if i := w.kit.Job(id); i.State != store.Queued || i.Attempt != 0 || len(i.Attempts) != 0 {
				t.Errorf("job is %s after %d attempts: %+v", i.State, i.Attempt, i.Attempts)
			}
		}
		if d, ok := w.hidden["m6"]; !ok || d != 0 {
			t.Errorf("hidden %v", w.hidden)
		}
		// The third round began at 40s and had to end by 55s.
		for _, id := range ids[4:6] {
			if i := w.kit.Job(id); i.State != store.Retrying || i.Attempts[0].Outcome != store.OutcomeTimeout {
				t.Errorf("job is %s: %+v", i.State, i.Attempts)
			}
		}
	})
}

// A job that is longer than the function's timeout goes on in other invocations.
func TestALongJobContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, handler := range map[string]func(context.Context, *functions.Job[int]) (int, error){
			"asks": func(_ context.Context, job *functions.Job[int]) (int, error) {
				return steps(job, func() (int, error) { return 0, functions.Continue(nil) })
			},
			"is stopped": func(ctx context.Context, job *functions.Job[int]) (int, error) {
				return steps(job, func() (int, error) {
					<-ctx.Done()
					return 0, ctx.Err()
				})
			},
		} {
			reg := functions.NewRegistry()
			functions.Handle(reg, "steps", handler)
			w := newWorld(t, reg, functions.Config{})
			id := w.kit.Submit("steps", 30)
			h := w.execute(t, nil)
			rounds := 0
			for ; w.kit.Job(id).State == store.Queued; rounds++ {
				failed, err := deliver(invocation(t, 20*time.Second), t, h, hints(id))
				wantBack(t, failed, err)
			}
			if i := w.kit.Job(id); i.State != store.Succeeded || i.Attempt != 1 || rounds != 3 || string(i.Result) != "30" {
				t.Errorf("%s: job is %s, attempt %d, result %s, after %d invocations", name, i.State, i.Attempt, i.Result, rounds)
			}
		}
	})
}

// steps does one step a second, as many as the job wants, and saves after each; stop ends it when
// time is short.
func steps(job *functions.Job[int], stop func() (int, error)) (int, error) {
	var n int
	if _, err := job.LoadCheckpoint(context.Background(), &n); err != nil {
		return 0, err
	}
	for ; n < job.Args; n++ {
		if job.DeadlineNear() {
			return stop()
		}
		time.Sleep(time.Second) // virtual time
		if err := job.Checkpoint(context.Background(), n+1); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// When an invocation answers, every attempt of it has ended, also of a handler that does not:
// nothing holds a lease in a process that Lambda freezes.
func TestAnInvocationAnswersBeforeItsDeadlineWhateverHandlersDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := sleeper()
		functions.Handle(reg, "stuck", func(context.Context, *functions.Job[int]) (int, error) {
			time.Sleep(time.Hour)
			return 1, nil
		})
		log := &printed.Text{}
		w := newWorld(t, reg, functions.Config{Log: logger(log)})
		stuck, good := w.kit.Submit("stuck", 0), w.kit.Submit("sleep", 1000)
		start := time.Now()
		failed, err := deliver(invocation(t, time.Minute), t, w.execute(t, nil), hints(stuck, good))
		wantBack(t, failed, err)
		if left := time.Minute - time.Since(start); left <= 0 || left > 2500*time.Millisecond {
			t.Errorf("answered %v before the deadline", left)
		}
		if i := w.kit.Job(stuck); i.State != store.Retrying {
			t.Errorf("job is %s", i.State)
		}
		if got := w.states(t, good); got != "succeeded" {
			t.Errorf("job is %s", got)
		}
		if !log.HasLine("a handler still runs", stuck) {
			t.Errorf("the log does not name the handler that still runs, want its job:\n%s", log)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
	})
}

func TestAFunctionWithTooShortATimeoutSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sleeper(), functions.Config{})
		id := w.kit.Submit("sleep", 1)
		_, err := deliver(invocation(t, 3*time.Second), t, w.execute(t, nil), hints(id))
		wantErr(t, err, "none of 1 messages", "last 10s before the function's timeout")
		if i := w.kit.Job(id); i.State != store.Queued || i.Attempt != 0 {
			t.Errorf("job is %s", i.State)
		}
		// With a margin that fits, it works.
		w = newWorld(t, sleeper(), functions.Config{Margin: 500 * time.Millisecond})
		failed, err := deliver(invocation(t, 3*time.Second), t, w.execute(t, nil), hints(w.kit.Submit("sleep", 1)))
		wantBack(t, failed, err)
	})
}

// SIGTERM cancels the invocation: what runs is handed back without having used an attempt.
func TestShutdownHandsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sleeper(), functions.Config{})
		a, b := w.kit.Submit("sleep", 60_000), w.kit.Submit("sleep", 60_000)
		ctx, cancel := context.WithCancelCause(invocation(t, 15*time.Minute))
		time.AfterFunc(time.Second, func() { cancel(functions.ErrShutdown) })
		failed, err := deliver(ctx, t, w.execute(t, &lambda.Options{Concurrency: 1}), hints(a, b))
		wantBack(t, failed, err, "m1")
		for _, id := range []string{a, b} {
			if i := w.kit.Job(id); i.State != store.Queued || i.Attempt != 0 {
				t.Errorf("job is %s, attempt %d", i.State, i.Attempt)
			}
		}
		if !strings.Contains(w.kit.Job(a).Attempts[0].Error+string(w.kit.Job(a).Attempts[0].Outcome), "handed back") {
			t.Errorf("attempts = %+v; want the first to be handed back", w.kit.Job(a).Attempts)
		}
	})
}
