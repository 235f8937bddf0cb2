package kit_test

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
	"github.com/piecework/piecework/localdev/kit"
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
	k := kit.New(t, flaky(3))
	id := k.Submit("flaky", "world")
	begin := k.Now()
	if n := k.Drain(); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
	k.RequireState(id, store.Retrying)
	k.Advance(59 * time.Minute)
	if n := k.Retried(id); n != 0 {
		t.Errorf("retried %d times before its time, want 0", n)
	}
	k.Wait(id)
	k.RequireSucceeded(id)
	if d := k.Now().Sub(begin); d != 2*time.Hour {
		t.Errorf("it took %v, want 2*time.Hour", d)
	}
	if n := k.Retried(id); n != 2 {
		t.Errorf("retried %d times, want 2", n)
	}
	if s := kit.Result[string](k, id); s != "WORLD" {
		t.Errorf(`result %q, want "WORLD"`, s)
	}
	if s := string(k.Output(id, "greeting.txt")); s != "hello world" {
		t.Errorf(`output %q, want "hello world"`, s)
	}
	if d := time.Since(wall); d > time.Minute {
		t.Errorf("it took %v of real time, want a minute at most", d)
	}
}

func TestKitAdvancesToSchedulesAndRetention(t *testing.T) {
	k := kit.New(t, flaky(1), kit.StartAt(time.Date(2030, 2, 1, 0, 0, 0, 0, time.UTC)))
	soon := k.Submit("flaky", "a", functions.After(time.Minute))
	later := k.Submit("flaky", "b", functions.After(30*24*time.Hour))
	if all := k.Submitted("flaky"); len(all) != 2 || all[0].ID != soon || all[1].ID != later {
		t.Errorf("submitted %+v, want len(all) == 2 && all[0].ID == soon && all[1].ID == later", all)
	}
	k.Advance(time.Minute)
	k.RequireSucceeded(soon)
	k.RequireState(later, store.Scheduled)
	k.Advance(30 * 24 * time.Hour)
	k.RequireSucceeded(later)
	if all := k.Submitted("flaky"); len(all) != 1 {
		t.Errorf("%d jobs after the retention of the first, want len(all) == 1", len(all))
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
		k := kit.New(tb, flaky(9))
		id := k.Submit("flaky", "world")
		k.Wait(id)
		k.RequireFailed(id, "away")
		k.RequireSucceeded(id)
	})
	for _, want := range []string{"state = failed, want succeeded", "attempt 5", "the other side is away", `"world"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the failure does not say %q:\n%s", want, text)
		}
	}
	text = fails(t, func(tb testing.TB) {
		k := kit.New(tb, flaky(1))
		k.Wait(k.Submit("flaky", "x", functions.Held()))
	})
	if !strings.Contains(text, "release") {
		t.Errorf("the failure does not say what a held job waits for:\n%s", text)
	}
	text = fails(t, func(tb testing.TB) { kit.New(tb, flaky(1)).Submit("flacky", 1) })
	if !strings.Contains(text, "flaky") {
		t.Errorf("the failure does not name the nearest kind:\n%s", text)
	}
}

// A check that comes too early says which call makes the job run.
func TestKitTellsWhatACheckForgot(t *testing.T) {
	day := functions.After(24 * time.Hour)
	for name, c := range map[string]struct {
		check func(k *kit.Kit)
		want  []string
	}{
		"Drain": {func(k *kit.Kit) { k.RequireSucceeded(k.Submit("flaky", "x")) },
			[]string{"state = queued, want succeeded", "it waits for the test: a job runs only within Drain, Advance or Wait"}},
		"Advance": {func(k *kit.Kit) { k.RequireSucceeded(k.Submit("flaky", "x", day)) },
			[]string{"state = scheduled, want succeeded", "its time has not come in virtual time", "Advance(24h0m0s)"}},
		"the rest of Advance": {func(k *kit.Kit) {
			id := k.Submit("flaky", "x", day)
			k.Advance(23 * time.Hour)
			kit.Result[string](k, id)
		}, []string{"state = scheduled, want succeeded", "its time has not come in virtual time", "Advance(1h0m0s)"}},
		"Advance to a retry": {func(k *kit.Kit) {
			id := k.Submit("flaky", "x")
			k.Drain()
			k.Output(id, "greeting.txt")
		}, []string{"is retrying", "attempt 1 ended with: error", "its time has not come in virtual time", "Advance(1h0m0s)"}},
	} {
		text := fails(t, func(tb testing.TB) { c.check(kit.New(tb, flaky(2))) })
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("a test that forgot %s is not told %q:\n%s", name, want, text)
			}
		}
		if strings.Contains(text, "waits for a worker") {
			t.Errorf("a test that forgot %s is told to wait for a worker, and there is none:\n%s", name, text)
		}
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
		k := kit.New(t, jobs, kit.WallClock())
		begin := time.Now()
		quick, slow := k.Submit("slow", 30), k.Submit("slow", 300)
		k.Wait(slow)
		k.RequireSucceeded(quick)
		info := k.RequireFailed(slow, functions.ErrAttemptTimeout.Error())
		if len(info.Attempts) != 2 || info.Attempts[0].End.Sub(info.Attempts[0].Start) != time.Minute {
			t.Errorf("attempts %+v, want len(info.Attempts) == 2 && info.Attempts[0].End.Sub(info.Attempts[0].Start) == time.Minute", info.Attempts)
		}
		if d := time.Since(begin); d != 30*time.Second+time.Minute+time.Hour+time.Minute {
			t.Errorf("it took %v, want 30*time.Second+time.Minute+time.Hour+time.Minute", d)
		}
	})
}

func TestKitTakesMessages(t *testing.T) {
	k := kit.New(t, flaky(1))
	id := k.Message([]byte(`{"kind":"flaky","args":"mail"}`), nil)
	k.Drain()
	k.RequireSucceeded(id)
	if id := k.Message([]byte(`{}`), nil); id != "" {
		t.Errorf("job %s of a message without a kind", id)
	}
	if parked, _, err := k.Client().Parked(t.Context(), 1, ""); err != nil || len(parked) != 1 {
		t.Errorf("parked %+v, error %v, want err == nil && len(parked) == 1", parked, err)
	}
}

func TestKitEndsHandlersThatCallFailNow(t *testing.T) {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "quits", func(context.Context, *functions.Job[int]) (int, error) {
		runtime.Goexit()
		return 0, nil
	}, functions.MaxAttempts(1))
	k := kit.New(t, jobs)
	id := k.Submit("quits", 1)
	k.Drain()
	k.RequireFailed(id, "Goexit")
}
