package lambda_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/store"
)

func TestJobsOfAnEventRunSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sleeper(), functions.Config{})
		var ids []string
		for range 10 {
			ids = append(ids, w.kit.Submit("sleep", 1000))
		}
		start, before := time.Now(), len(w.lists)
		failed, err := deliver(t.Context(), t, w.execute(t, w.options()), hints(ids...))
		wantBack(t, failed, err)
		if d := time.Since(start); d != time.Second {
			t.Errorf("ten jobs of 1s took %v", d)
		}
		if lists := w.lists[before:]; !slices.Equal(lists[:2], []string{"10 reads", "10 writes"}) || len(lists) != 12 {
			t.Errorf("the store was asked for %q: the jobs were not claimed together", lists)
		}
		if got := w.states(t, ids...); got != strings.TrimSpace(strings.Repeat("succeeded ", 10)) {
			t.Errorf("jobs are %s", got)
		}
		if len(w.outs) != 10 {
			t.Errorf("%d outcomes", len(w.outs))
		}
	})
}

func TestConcurrencyIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sleeper(), functions.Config{})
		var ids []string
		for range 10 {
			ids = append(ids, w.kit.Submit("sleep", 1000))
		}
		start := time.Now()
		failed, err := deliver(t.Context(), t, w.execute(t, &lambda.Options{Concurrency: 4}), hints(ids...))
		wantBack(t, failed, err)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("ten jobs of 1s, four at once, took %v", d)
		}
	})
}

// What came of a job is in its record; its message has done its work, also if the job failed.
func TestOnlyWhatCannotBeHandledComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := sleeper()
		functions.Kind[int, int]("elsewhere").Declare(reg)
		w := newWorld(t, reg, functions.Config{})
		good, bad, other := w.kit.Submit("sleep", 1), w.kit.Submit("sleep", -1), w.kit.Submit("elsewhere", 1)
		records := hints(good, bad, other, good, "job-none")
		records = append(records, record(queueARN, "", "what is this?"))
		failed, err := deliver(t.Context(), t, w.execute(t, w.options()), records)
		wantBack(t, failed, err, "m2")
		if got := w.states(t, good, bad, other); got != "succeeded failed queued" {
			t.Errorf("jobs are %s", got)
		}
		if d, ok := w.hidden["m2"]; !ok || d < 5*time.Second || d > 7500*time.Millisecond || len(w.hidden) != 1 {
			t.Errorf("hidden: %v", w.hidden)
		}
		parked, _, err := w.Client().Parked(t.Context(), 10, "")
		if err != nil || len(parked) != 1 || parked[0].Queue != "piecework-default" || !strings.Contains(parked[0].Reason, "not JSON") {
			t.Errorf("parked %+v, error %v", parked, err)
		}
	})
}

// If nothing of an event could be handled the invocation fails, so that the function's alarms see
// it.
func TestAnEventOfWhichNothingWorkedFails(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Kind[int, int]("elsewhere").Declare(reg)
	w := newWorld(t, reg, functions.Config{})
	_, err := deliver(t.Context(), t, w.execute(t, nil), hints(w.kit.Submit("elsewhere", 1), w.kit.Submit("elsewhere", 2)))
	wantErr(t, err, "none of 2 messages", "no handler here")
	if !errors.Is(err, store.ErrKind) {
		t.Errorf("error %v", err)
	}
}

func TestAPanicIsItsJobsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := sleeper()
		functions.Handle(reg, "burst", func(context.Context, *functions.Job[int]) (int, error) { panic("oh") }, functions.MaxAttempts(1))
		w := newWorld(t, reg, functions.Config{})
		a, b, c := w.kit.Submit("sleep", 5), w.kit.Submit("burst", 0), w.kit.Submit("sleep", 5)
		failed, err := deliver(t.Context(), t, w.execute(t, nil), hints(a, b, c))
		wantBack(t, failed, err)
		if got := w.states(t, a, b, c); got != "succeeded failed succeeded" {
			t.Errorf("jobs are %s", got)
		}
	})
}
