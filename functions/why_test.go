package functions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

func TestWaitingSaysForWhatInEachState(t *testing.T) {
	reg := handle(failing, functions.MaxAttempts(2), functions.Retries(functions.Constant(90*time.Second)))
	functions.Kind[order, order]("elsewhere").Declare(reg)
	d := newDesk(t, reg)
	waiting := func(id string) string { return d.get(t, id).Waiting }
	want := func(id, text string) {
		t.Helper()
		if got := waiting(id); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
	want(d.submit(t, "shop.order", order{}, functions.Held()), "to be released")
	want(d.submit(t, "shop.order", order{}, functions.After(time.Hour)), "for its time, in 1h0m0s (2026-11-21T13:00:00Z)")
	want(d.submit(t, "elsewhere", order{}, functions.Queue("fast")),
		"for a worker on queue fast that has kind elsewhere (this process has no handler for it)")
	d.take()
	id := d.submit(t, "shop.order", order{})
	want(id, "for a worker on queue default")
	m := d.take()[0].msg
	d.advance(3 * time.Minute)
	d.sweep(t)
	want(id, "for a worker on queue default; its message was sent again once, so there may be no worker, or a long backlog")
	d.Execute(t.Context(), m)
	want(id, "for attempt 2, in 1m30s (2026-11-21T12:04:30Z), after attempt 1 ended with: error: no")
	d.advance(91500 * time.Millisecond)
	want(id, "for a worker or a sweep: due 1.5s ago (2026-11-21T12:04:30Z), after attempt 1 ended with: error: no")
	claimed := d.Claim(t.Context(), m)[0].Attempt
	want(id, "")
	if _, err := d.Client().Cancel(t.Context(), id, ""); err != nil {
		t.Fatal(err)
	}
	want(id, "for its handler to stop: cancelled in 0s (2026-11-21T12:04:31Z)")
	d.advance(10 * time.Minute)
	want(id, "for sweep to end its attempt, due 8m58s ago (2026-11-21T12:05:33Z): worker test gave no heartbeat for 10m0s")
	claimed.Execute(t.Context())
	want(id, "")
	if _, err := d.Client().Retry(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	d.Execute(t.Context(), m)
	want(id, "for attempt 4, in 1m30s (2026-11-21T12:16:01Z), after attempt 3 ended with: error: no")
}

func TestStatsCountWhatHappened(t *testing.T) {
	d := newDesk(t, handle(func(_ context.Context, job *functions.Job[order]) (order, error) {
		switch {
		case job.Args.Item == "skip":
			return order{}, functions.Skip("x")
		case job.Args.Item == "fail", job.Args.Item == "retry" && job.Attempt == 1:
			return order{}, errors.New("no")
		case job.Args.Item == "snooze":
			return order{}, functions.Snooze(time.Hour)
		}
		return order{}, nil
	}, functions.MaxAttempts(2), functions.Retries(functions.Constant(0))))
	for _, item := range []string{"", "skip", "fail", "retry", "snooze"} {
		d.once(t, "shop.order", order{Item: item})
	}
	i := d.once(t, "shop.order", order{}, functions.Held())
	if _, err := d.Client().Cancel(t.Context(), i.ID, ""); err != nil {
		t.Fatal(err)
	}
	s := d.Stats()
	got := fmt.Sprintln(s.Submitted.Load(), s.Claimed.Load(), s.Succeeded.Load(), s.Failed.Load(), s.Cancelled.Load(),
		s.Skipped.Load(), s.AttemptsRetried.Load(), s.Continued.Load())
	if got != "6 7 2 1 1 1 2 1\n" {
		t.Error(got)
	}
}

func TestTheLogNamesJobKindAndAttempt(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		job.Log().InfoContext(ctx, "hello", slog.String("item", job.Args.Item))
		return order{}, fmt.Errorf("failure of attempt %d", job.Attempt)
	}, functions.MaxAttempts(2), functions.Retries(functions.Constant(time.Second))))
	i := d.until(t, d.submit(t, "shop.order", order{Item: "tea"}))
	for n := 1; n <= 2; n++ {
		if !d.logged("hello", "item=tea", "job="+i.ID, "kind=shop.order", fmt.Sprint("attempt=", n)) {
			t.Errorf("the handler's line of attempt %d", n)
		}
	}
	if !d.logged("level=WARN", "attempt failed; another follows", "job="+i.ID, "attempt=1", "failure of attempt 1", "at=2026") ||
		!d.logged("level=ERROR", "job failed", "job="+i.ID, "attempt=2", "failure of attempt 2") {
		t.Error("lines of the runtime")
	}
}

func TestTheJobKnowsItself(t *testing.T) {
	d := newDesk(t, handle(func(_ context.Context, job *functions.Job[order]) (order, error) {
		if job.ID == "" || job.Kind != "shop.order" || job.Queue != "reports" || job.Attempt != 1 || job.LastError != "" ||
			len(job.Tags) != 1 || job.Submitted.IsZero() || !job.Deadline.Equal(job.Submitted.Add(time.Hour)) || job.Parent != "" {
			t.Errorf("job = %+v; want what was submitted", job)
		}
		return order{}, nil
	}, functions.Queue("reports")))
	d.once(t, "shop.order", order{}, functions.Tags("x"))
}

func TestResultsOfJobs(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "nothing", func(context.Context, *functions.Job[order]) (struct{}, error) { return struct{}{}, nil })
	functions.Handle(reg, "number", func(context.Context, *functions.Job[order]) (int, error) { return 7, nil })
	functions.Handle(reg, "failed", failing, functions.MaxAttempts(1))
	d := newDesk(t, reg)
	if _, err := resultOf[struct{}](d.once(t, "nothing", order{})); err != nil {
		t.Error(err)
	}
	_, err := resultOf[string](d.once(t, "number", order{}))
	if err == nil || !strings.Contains(err.Error(), "result of job") {
		t.Error(err)
	}
	failed := d.once(t, "failed", order{})
	_, err = resultOf[order](failed)
	ended, ok := errors.AsType[*functions.EndedError](err)
	want := functions.EndedError{ID: failed.ID, State: functions.StateFailed, Outcome: store.OutcomeError, Attempts: 1, Text: "no"}
	if !ok || *ended != want {
		t.Errorf("error %v, want %+v", err, want)
	}
	if status, code := functions.HTTPStatus(err), functions.ErrorCode(err); status != 409 || code != "ended" {
		t.Errorf("status %d and code %q, want 409 and ended", status, code)
	}
	held := d.get(t, d.submit(t, "number", order{}, functions.Held()))
	_, err = resultOf[int](held)
	wantErr(t, err, functions.ErrNotDone, held.ID, "is held")
	_, err = functions.Kind[order, int]("other").Result(held)
	wantErr(t, err, functions.ErrInvalid, "is of kind number, not of other")
	if b, err := json.Marshal(d.once(t, "failed", order{})); err != nil || strings.Contains(string(b), "result") || strings.Contains(string(b), "0001-01-01") {
		t.Errorf("content = %s, error = %v; want no error, not Contains(string(b), \"result\") and not Contains(string(b), \"0001-01-01\")", b, err)
	}
}

func TestEachErrorHasItsStatus(t *testing.T) {
	for err, want := range map[error]int{
		nil: 200, store.ErrNotFound: 404, functions.ErrNoOutput: 404, blobout.ErrNotFound: 500, functions.ErrKeyConflict: 409,
		store.ErrMove: 409, functions.ErrUnknownKind: 422, functions.ErrArgs: 422, functions.ErrTooLarge: 413, store.ErrTooLarge: 413,
		functions.ErrInvalid: 400, store.ErrCursor: 400, store.ErrUnavailable: 503, functions.ErrClosed: 503,
		context.DeadlineExceeded: 504, context.Canceled: 499, errors.New("?"): 500, store.ErrCorrupt: http.StatusInternalServerError,
	} {
		if err != nil {
			err = fmt.Errorf("wrapped: %w", err)
		}
		if got := functions.HTTPStatus(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}
