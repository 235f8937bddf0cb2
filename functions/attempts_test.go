package functions_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// die claims the job of the first message and forgets about it, as a worker does that is killed.
func (d *desk) die(t *testing.T) {
	t.Helper()
	msgs := d.take()
	if len(msgs) == 0 {
		t.Fatal("nobody was asked to work")
	}
	if c := d.Claim(t.Context(), msgs[0].msg)[0]; c.Attempt == nil {
		t.Fatalf("outcome = %+v; want Attempt set", c.Outcome)
	}
}

func TestAPoisonJobThatKillsItsWorkerEndsAsFailed(t *testing.T) {
	d := newDesk(t, handle(echoing, functions.MaxAttempts(functions.Unlimited), functions.Retries(functions.Constant(0))))
	id := d.submit(t, "shop.order", order{})
	for range functions.DefaultMaxLost {
		d.die(t)
		d.advance(3 * time.Minute)
		if r := d.sweep(t); r.Lost != 1 {
			t.Fatalf("result = %+v; want Lost = 1", r)
		}
	}
	i := d.get(t, id)
	if i.State != store.Failed || len(i.Attempts) != 3 || i.Attempts[2].Outcome != store.OutcomeLost || !strings.Contains(i.Error, "no heartbeat since") {
		t.Errorf("job = %+v; want State = Failed, 3 attempts, Attempts[2].Outcome = OutcomeLost and Error to contain \"no heartbeat since\"", i)
	}
	if !d.logged("attempt lost with its worker", "job="+id, "kind=shop.order", "attempt=1") || !d.logged("job ended by sweep", "attempt=3") {
		t.Error("nothing was said")
	}
}

func TestSeparateLimitsEndAJobOnTheirOwn(t *testing.T) {
	handler := func(_ context.Context, job *functions.Job[order]) (order, error) {
		if job.Args.Item == "panic" {
			panic("boom")
		}
		return order{}, errors.New("no")
	}
	for _, item := range []string{"error", "panic"} {
		d := newDesk(t, handle(handler, functions.MaxAttempts(functions.Unlimited), functions.MaxErrors(3), functions.Retries(functions.Constant(0))))
		if i := d.once(t, "shop.order", order{Item: item}); i.State != store.Failed || i.Attempt != 3 {
			t.Errorf("item = %s, job = %+v; want State = Failed and Attempt = 3", item, i)
		}
	}
}

func TestUnlimitedAttempts(t *testing.T) {
	d := newDesk(t, handle(func(_ context.Context, job *functions.Job[order]) (order, error) {
		if job.Attempt < 200 {
			return order{}, fmt.Errorf("failure %d", job.Attempt)
		}
		if job.LastError != "failure 199" {
			t.Errorf("last error %q", job.LastError)
		}
		return order{}, nil
	}, functions.MaxAttempts(functions.Unlimited), functions.Retries(functions.Constant(0))))
	if i := d.once(t, "shop.order", order{}); i.State != store.Succeeded || i.Attempt != 200 || i.Error != "" {
		t.Errorf("job = %+v; want State = Succeeded, Attempt = 200 and no Error", i)
	}
}

func TestAPanicIsAnErrorWithItsStack(t *testing.T) {
	d := newDesk(t, handle(func(context.Context, *functions.Job[order]) (order, error) { panic("boom") }, functions.MaxAttempts(1)))
	i := d.once(t, "shop.order", order{})
	a := i.Attempts[0]
	if i.State != store.Failed || a.Outcome != store.OutcomePanic || a.Error != "panic: boom" || !strings.Contains(a.Stack, "attempts_test.go") {
		t.Errorf("job = %+v; want State = Failed, a.Outcome = OutcomePanic, a.Error = \"panic: boom\" and a.Stack to contain \"attempts_test.go\"", i)
	}
}

func TestAHandlerThatEndsItsGoroutineHasFailed(t *testing.T) {
	d := newDesk(t, handle(func(context.Context, *functions.Job[order]) (order, error) {
		runtime.Goexit()
		return order{}, nil
	}, functions.MaxAttempts(1)))
	if i := d.once(t, "shop.order", order{}); i.State != store.Failed || !strings.Contains(i.Error, "Goexit") {
		t.Errorf("job = %+v; want State = Failed and Error to contain \"Goexit\"", i)
	}
}

// shy cannot be encoded: its method panics.
type shy struct{}

// MarshalJSON panics.
func (shy) MarshalJSON() ([]byte, error) { panic("shy") }

func TestAResultThatCannotBeEncodedFailsTheJobForGood(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "channel", func(context.Context, *functions.Job[order]) (any, error) { return make(chan int), nil })
	functions.Handle(reg, "shy", func(context.Context, *functions.Job[order]) (shy, error) { return shy{}, nil })
	d := newDesk(t, reg)
	if i := d.once(t, "channel", order{}); i.State != store.Failed || i.Attempt != 1 || !strings.Contains(i.Error, "encode result") {
		t.Errorf("job = %+v; want State = Failed, Attempt = 1 and Error to contain \"encode result\"", i)
	}
	i := d.once(t, "shy", order{})
	if i.State == store.Running || !strings.Contains(i.Error, "panic: shy") {
		t.Errorf("job = %+v; want State other than Running and Error to contain \"panic: shy\"", i)
	}
}

func TestDirectives(t *testing.T) {
	var what error
	handler := func(context.Context, *functions.Job[order]) (order, error) { return order{}, what }
	inner := errors.New("inner")
	for name, c := range map[string]struct {
		err     error
		state   store.State
		attempt int
		wait    time.Duration
	}{
		"permanent":          {functions.Permanent(inner), store.Failed, 1, 0},
		"wrapped permanent":  {fmt.Errorf("outer: %w", functions.Permanent(inner)), store.Failed, 1, 0},
		"nil permanent":      {functions.Permanent(nil), store.Failed, 1, 0},
		"retry after":        {functions.RetryAfter(42*time.Minute, inner), store.Retrying, 1, 42 * time.Minute},
		"snooze":             {functions.Snooze(time.Hour), store.Scheduled, 0, time.Hour},
		"snooze a moment":    {functions.Snooze(0), store.Scheduled, 0, functions.MinSnooze},
		"skip":               {functions.Skip("nothing to do"), store.Skipped, 1, 0},
		"continue after":     {functions.ContinueAfter(time.Minute, 7), store.Scheduled, 0, time.Minute},
		"continue after nil": {functions.ContinueAfter(time.Minute, nil), store.Scheduled, 0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			what = c.err
			d := newDesk(t, handle(handler))
			id := d.submit(t, "shop.order", order{})
			d.Execute(t.Context(), d.take()[0].msg)
			i := d.get(t, id)
			if i.State != c.state || i.Attempt != c.attempt || c.wait > 0 && i.At.Sub(d.clock()) != c.wait {
				t.Errorf("job = %+v; want State = c.state, Attempt = c.attempt and c.wait <= 0 or At.Sub(d.clock()) = c.wait", i)
			}
			if i.State == store.Skipped && (i.Reason != "nothing to do" || i.Error != "") {
				t.Errorf("job = %+v; want State other than Skipped or the reason \"nothing to do\" and no error", i)
			}
		})
	}
	if err := functions.Permanent(inner); !errors.Is(err, inner) || err.Error() != "inner" {
		t.Error(err)
	}
	for _, err := range []error{functions.Snooze(time.Second), functions.Skip("x"), functions.Continue(1)} {
		if err.Error() == "" {
			t.Errorf("%T has no text", err)
		}
	}
}

func TestRetryAfterStillCountsAttempts(t *testing.T) {
	d := newDesk(t, handle(func(context.Context, *functions.Job[order]) (order, error) {
		return order{}, functions.RetryAfter(0, errors.New("busy"))
	}, functions.MaxAttempts(3)))
	if i := d.once(t, "shop.order", order{}); i.State != store.Failed || i.Attempt != 3 {
		t.Errorf("job = %+v; want State = Failed and Attempt = 3", i)
	}
}

func TestAJobsDeadlineEndsItWhileItWaits(t *testing.T) {
	reg := handle(failing, functions.Deadline(10*time.Minute), functions.Retries(functions.Constant(4*time.Minute)))
	d := newDesk(t, reg)
	never := d.submit(t, "shop.order", order{})
	held := d.submit(t, "shop.order", order{}, functions.Held())
	late := d.submit(t, "shop.order", order{})
	msgs := d.take()
	d.advance(9 * time.Minute)
	d.Execute(t.Context(), msgs[1].msg) // fails, and the next attempt would come too late
	if i := d.get(t, late); i.State != store.Failed || i.Attempt != 1 || i.Error != "no" {
		t.Errorf("job = %+v; want State = Failed, Attempt = 1 and Error = \"no\"", i)
	}
	d.advance(time.Minute)
	if out := d.Execute(t.Context(), msgs[0].msg); out.Verdict != functions.Ack {
		t.Errorf("outcome = %+v; want Verdict = Ack", out)
	}
	if i := d.get(t, never); i.State != store.Failed || i.Attempt != 0 || !strings.Contains(i.Error, "deadline passed before an attempt") {
		t.Errorf("job = %+v; want State = Failed, Attempt = 0 and Error to contain \"deadline passed before an attempt\"", i)
	}
	if r := d.sweep(t); r.Expired != 1 {
		t.Errorf("result = %+v; want Expired = 1", r)
	}
	if i := d.get(t, held); i.State != store.Failed {
		t.Errorf("job = %+v; want State = Failed", i)
	}
	i, err := d.Client().Retry(t.Context(), never)
	if err != nil || i.State != store.Queued || !i.Deadline.IsZero() {
		t.Errorf("retried: %+v, %v", i, err)
	}
}

func TestRetryGoesOnFromTheCheckpoint(t *testing.T) {
	broken := true
	var starts []int
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		var step int
		if _, err := job.LoadCheckpoint(ctx, &step); err != nil {
			return order{}, err
		}
		starts = append(starts, step)
		if err := job.Checkpoint(ctx, 7); err != nil {
			return order{}, err
		}
		if broken {
			return order{}, functions.Permanent(errors.New("broken"))
		}
		return order{Count: step}, nil
	}))
	i := d.once(t, "shop.order", order{})
	if i.State != store.Failed {
		t.Fatal(i.State)
	}
	failed, err := d.Client().List(t.Context(), functions.ListFilter{States: []store.State{store.Failed}})
	if err != nil || len(failed.Jobs) != 1 {
		t.Error(failed, err)
	}
	broken = false
	if _, err := d.Client().Retry(t.Context(), i.ID); err != nil {
		t.Fatal(err)
	}
	d.drain(t)
	i = d.get(t, i.ID)
	if got, err := resultOf[order](i); err != nil || got.Count != 7 || i.Attempt != 1 || fmt.Sprint(starts) != "[0 7]" {
		t.Errorf("%+v, %v, starts %v", i, err, starts)
	}
	if n := len(i.Attempts); i.Past != 1 || n != 2 || i.Attempts[0].Number != 1 || i.Attempts[1].Number != 2 {
		t.Errorf("attempts = %+v with %d past, want the numbers 1 and 2 with 1 past", i.Attempts, i.Past)
	}
	_, err = d.Client().Retry(t.Context(), i.ID)
	wantErr(t, err, store.ErrMove, "succeeded")
}

func TestADuplicateMessageIsDropped(t *testing.T) {
	d := newDesk(t, handle(echoing))
	id := d.submit(t, "shop.order", order{})
	m := d.take()[0].msg
	claimed := d.Claim(t.Context(), m, m, pubsubq.Message{ID: "job-nobody"})
	if claimed[0].Attempt == nil || claimed[1].Outcome.Verdict != functions.Drop || claimed[2].Outcome.Verdict != functions.Drop {
		t.Fatalf("claimed = %+v; want claimed[0].Attempt set, claimed[1].Outcome.Verdict = Drop and claimed[2].Outcome.Verdict = Drop", claimed)
	}
	if !errors.Is(claimed[2].Outcome.Err, store.ErrNotFound) || claimed[0].Attempt.ID() != id {
		t.Errorf("third outcome = %+v; want error ErrNotFound and claimed[0].Attempt.ID() = id", claimed[2].Outcome)
	}
	claimed[0].Attempt.Execute(t.Context())
	if out := d.Execute(t.Context(), m); out.Verdict != functions.Drop || !errors.Is(out.Err, store.ErrMove) {
		t.Errorf("outcome = %+v; want Verdict = Drop and error ErrMove", out)
	}
	if n := d.Stats().Dropped.Load(); n != 3 {
		t.Errorf("%d dropped", n)
	}
	if functions.Drop.String() != "drop" || functions.Retry.String() != "retry" || functions.Ack.String() != "ack" {
		t.Error("verdicts have other names")
	}
}
