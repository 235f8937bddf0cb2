package localdev_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/store"
)

// flaky fails until the given attempt, with an hour between.
func flaky(until int) *functions.Registry {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "flaky", func(ctx context.Context, job *functions.Job[string]) (string, error) {
		if job.Attempt < until {
			return "", fmt.Errorf("attempt %d: the other side is away", job.Attempt)
		}
		w, err := job.Output(ctx, "greeting.txt")
		if err != nil {
			return "", err
		}
		_, err = io.WriteString(w, "hello "+job.Args)
		return strings.ToUpper(job.Args), err
	}, functions.Retries(functions.Constant(time.Hour)))
	return jobs
}

func TestKitGoesThroughRetries(t *testing.T) {
	wall := time.Now()
	kit := localdev.New(t, flaky(3))
	id := kit.Submit("flaky", "world")
	begin := kit.Now()
	if n := kit.Drain(); n != 1 {
		t.Errorf("%d attempts", n)
	}
	kit.RequireState(id, store.Retrying)
	kit.Advance(59 * time.Minute)
	if n := kit.Retried(id); n != 0 {
		t.Errorf("retried %d times before its time", n)
	}
	kit.Wait(id)
	kit.RequireSucceeded(id)
	if d := kit.Now().Sub(begin); d != 2*time.Hour {
		t.Errorf("it took %v", d)
	}
	if n := kit.Retried(id); n != 2 {
		t.Errorf("retried %d times", n)
	}
	if s := localdev.Result[string](kit, id); s != "WORLD" {
		t.Errorf("result %q", s)
	}
	if s := string(kit.Output(id, "greeting.txt")); s != "hello world" {
		t.Errorf("output %q", s)
	}
	if d := time.Since(wall); d > time.Minute {
		t.Errorf("it took %v of real time", d)
	}
}

func TestKitAdvancesToSchedulesAndRetention(t *testing.T) {
	kit := localdev.New(t, flaky(1), localdev.StartAt(time.Date(2030, 2, 1, 0, 0, 0, 0, time.UTC)))
	soon := kit.Submit("flaky", "a", functions.After(time.Minute))
	later := kit.Submit("flaky", "b", functions.After(30*24*time.Hour))
	if all := kit.Submitted("flaky"); len(all) != 2 || all[0].ID != soon || all[1].ID != later {
		t.Errorf("submitted %+v", all)
	}
	kit.Advance(time.Minute)
	kit.RequireSucceeded(soon)
	kit.RequireState(later, store.Scheduled)
	kit.Advance(30 * 24 * time.Hour)
	kit.RequireSucceeded(later)
	if all := kit.Submitted("flaky"); len(all) != 1 {
		t.Errorf("%d jobs after the retention of the first", len(all))
	}
}

// A failed assertion is a goroutine's end, so a test of one has its own.
type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
func (r *recorder) Errorf(format string, args ...any) { r.text += fmt.Sprintf(format, args...) + "\n" }
func (r *recorder) Helper()                           {}

// fails returns what a test would have failed with.
func fails(t *testing.T, f func(t testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	if r.text == "" {
		t.Error("it did not fail")
	}
	return r.text
}

func TestKitTellsTheHistory(t *testing.T) {
	text := fails(t, func(tb testing.TB) {
		kit := localdev.New(tb, flaky(9))
		id := kit.Submit("flaky", "world")
		kit.Wait(id)
		kit.RequireFailed(id, "away")
		kit.RequireSucceeded(id)
	})
	for _, want := range []string{"is failed, not succeeded", "attempt 5", "the other side is away", `"world"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the failure does not say %q:\n%s", want, text)
		}
	}
	text = fails(t, func(tb testing.TB) {
		kit := localdev.New(tb, flaky(1))
		kit.Wait(kit.Submit("flaky", "x", functions.Held()))
	})
	if !strings.Contains(text, "release") {
		t.Errorf("the failure does not say what a held job waits for:\n%s", text)
	}
	text = fails(t, func(tb testing.TB) { localdev.New(tb, flaky(1)).Submit("flacky", 1) })
	if !strings.Contains(text, "flaky") {
		t.Errorf("the failure does not name the nearest kind:\n%s", text)
	}
}

func TestKitInABubbleKeepsTimeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs := functions.NewRegistry()
		functions.Handle(jobs, "slow", func(ctx context.Context, job *functions.Job[int]) (int, error) {
			select {
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			case <-time.After(time.Duration(job.Args) * time.Second):
				return job.Args, nil
			}
		}, functions.Timeout(time.Minute), functions.MaxAttempts(2), functions.Retries(functions.Constant(time.Hour)))
		kit := localdev.New(t, jobs, localdev.InBubble())
		begin := time.Now()
		quick, slow := kit.Submit("slow", 30), kit.Submit("slow", 300)
		kit.Wait(slow)
		kit.RequireSucceeded(quick)
		info := kit.RequireFailed(slow, functions.ErrAttemptTimeout.Error())
		if len(info.Attempts) != 2 || info.Attempts[0].End.Sub(info.Attempts[0].Start) != time.Minute {
			t.Errorf("attempts %+v", info.Attempts)
		}
		if d := time.Since(begin); d != 30*time.Second+time.Minute+time.Hour+time.Minute {
			t.Errorf("it took %v", d)
		}
	})
}

func TestKitTakesMessages(t *testing.T) {
	kit := localdev.New(t, flaky(1))
	id := kit.Message([]byte(`{"kind":"flaky","args":"mail"}`), nil)
	kit.Drain()
	kit.RequireSucceeded(id)
	if id := kit.Message([]byte(`{}`), nil); id != "" {
		t.Errorf("job %s of a message without a kind", id)
	}
	if parked, _, err := kit.Client().Parked(t.Context(), 1, ""); err != nil || len(parked) != 1 {
		t.Errorf("parked %+v, error %v", parked, err)
	}
}

func TestKitEndsHandlersThatCallFailNow(t *testing.T) {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "quits", func(context.Context, *functions.Job[int]) (int, error) {
		runtime.Goexit()
		return 0, nil
	}, functions.MaxAttempts(1))
	kit := localdev.New(t, jobs)
	id := kit.Submit("quits", 1)
	kit.Drain()
	kit.RequireFailed(id, "Goexit")
}
