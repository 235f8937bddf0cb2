package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/printed"
)

func TestConcurrencyIsKeptAndUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, g := sleeper("sleep")
		r := newWorld(t).start(reg, worker.Options{Concurrency: 7})
		start := time.Now()
		var ids []string
		for range 35 {
			ids = append(ids, r.submit(t, "sleep", 1000))
		}
		for _, id := range ids {
			if _, err := r.rt.Client().Wait(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if most := g.most.Load(); most != 7 {
			t.Errorf("%d ran at once, want 7", most)
		}
		if d := time.Since(start); d > 5100*time.Millisecond {
			t.Errorf("35 jobs of 1s, 7 at once, took %v", d)
		}
		r.stop(t)
	})
}

func TestQueuesShareTheSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := functions.NewRegistry()
		ends := map[string]int{}
		var mu sync.Mutex
		var g gauge
		for _, queue := range []string{"busy", "quiet"} {
			functions.Handle(reg, queue, func(ctx context.Context, job *functions.Job[int]) (int, error) {
				defer func() {
					mu.Lock()
					ends[queue]++
					mu.Unlock()
				}()
				return g.sleep(ctx, job)
			}, functions.Queue(queue))
		}
		w := newWorld(t)
		r := w.start(reg, worker.Options{Concurrency: 2}, "busy", "quiet")
		for range 100 {
			r.submit(t, "busy", 100)
		}
		time.Sleep(500 * time.Millisecond)
		for range 10 {
			r.submit(t, "quiet", 100)
		}
		time.Sleep(1200 * time.Millisecond)
		mu.Lock()
		if ends["quiet"] < 8 || ends["busy"] < 10 {
			t.Errorf("after 1.2s beside each other ended %v", ends)
		}
		mu.Unlock()
		if g.most.Load() != 2 {
			t.Errorf("%d at once", g.most.Load())
		}
		r.stop(t)
	})
}

func TestPerQueueLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, g := sleeper("sleep", functions.Queue("narrow"))
		r := newWorld(t).start(reg, worker.Options{PerQueue: map[string]int{"narrow": 3}}, "narrow")
		for range 9 {
			r.submit(t, "sleep", 1000)
		}
		start := time.Now()
		for g.total.Load() < 9 || g.now.Load() > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(start); g.most.Load() != 3 || d > 3100*time.Millisecond {
			t.Errorf("%d at once, %v", g.most.Load(), d)
		}
		r.stop(t)
	})
}

func TestDrainLetsJobsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, _ := sleeper("sleep")
		r := newWorld(t).start(reg, worker.Options{Concurrency: 2})
		running, waiting := r.submit(t, "sleep", 5000), r.submit(t, "sleep", 5000)
		synctest.Wait()
		last := r.submit(t, "sleep", 5000) // there is no slot for it
		start := time.Now()
		r.stop(t)
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("drained in %v", d)
		}
		if a, b, c := r.state(t, running), r.state(t, waiting), r.state(t, last); a != store.Succeeded || b != store.Succeeded || c != store.Queued {
			t.Errorf("jobs are %s, %s, %s", a, b, c)
		}
	})
}

func TestDrainHandsBackWhatDoesNotFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, _ := sleeper("sleep")
		w := newWorld(t)
		r := w.start(reg, worker.Options{DrainGrace: 3 * time.Second})
		id := r.submit(t, "sleep", 60_000)
		synctest.Wait()
		start := time.Now()
		r.stop(t)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("drained in %v", d)
		}
		info, err := r.rt.Client().Get(t.Context(), id)
		if err != nil || info.State != store.Queued || info.Attempt != 0 {
			t.Errorf("job is %s, attempts used %d, error %v", info.State, info.Attempt, err)
		}
		next := w.start(reg, worker.Options{}) // its message is in the queue already
		synctest.Wait()
		if s := next.state(t, id); s != store.Running {
			t.Errorf("in the next worker, the job is %s", s)
		}
		if info, err := next.rt.Client().Wait(t.Context(), id); err != nil || info.State != store.Succeeded || info.Attempt != 1 {
			t.Errorf("job is %s, attempts used %d, error %v", info.State, info.Attempt, err)
		}
		next.stop(t)
	})
}

// A handler that sees DeadlineNear can save what it has.
func TestDrainIsSeenByHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := functions.NewRegistry()
		functions.Handle(reg, "steps", func(_ context.Context, job *functions.Job[int]) (int, error) {
			for !job.DeadlineNear() {
				time.Sleep(100 * time.Millisecond)
			}
			return 0, functions.Continue(1)
		})
		r := newWorld(t).start(reg, worker.Options{})
		id := r.submit(t, "steps", 0)
		synctest.Wait()
		r.stop(t)
		if s := r.state(t, id); s != store.Queued {
			t.Errorf("job is %s", s)
		}
	})
}

func TestLeaveGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stuck := make(chan struct{})
		reg := functions.NewRegistry()
		functions.Handle(reg, "stuck", func(context.Context, *functions.Job[int]) (int, error) {
			<-stuck
			return 0, nil
		})
		r := w.start(reg, worker.Options{})
		r.submit(t, "stuck", 0)
		synctest.Wait()
		start := time.Now()
		r.cancel()
		synctest.Wait()
		r.Leave()
		if err := <-r.done; err == nil || !strings.Contains(err.Error(), "left at once") {
			t.Errorf("error %v", err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("left after %v", d)
		}
		close(stuck)
		synctest.Wait()
	})
}

func TestHandlerThatDoesNotStopIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		reg := functions.NewRegistry()
		functions.Handle(reg, "stuck", func(context.Context, *functions.Job[int]) (int, error) {
			<-stuck
			return 7, nil
		}, functions.Timeout(time.Second), functions.MaxAttempts(1))
		r := newWorld(t).start(reg, worker.Options{Concurrency: 1})
		id := r.submit(t, "stuck", 0)
		info, err := r.rt.Client().Wait(t.Context(), id)
		if err != nil || info.State != store.Failed || !strings.Contains(info.Error, "did not return within") {
			t.Errorf("job is %s: %s, error %v", info.State, info.Error, err)
		}
		close(stuck)
		synctest.Wait()
		if s := r.state(t, id); s != store.Failed {
			t.Errorf("late return made the job %s", s)
		}
		r.stop(t)
	})
}

func TestUnknownKindIsLeftToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		known, _ := sleeper("sleep")
		other, _ := sleeper("other")
		functions.Kind[int, int]("other").Declare(known)
		a := w.start(known, worker.Options{Concurrency: 1})
		id := a.submit(t, "other", 1)
		mine := a.submit(t, "sleep", 1)
		if info, err := a.rt.Client().Wait(t.Context(), mine); err != nil || info.State != store.Succeeded {
			t.Fatalf("job is %s, error %v", info.State, err)
		}
		time.Sleep(time.Minute)
		if s := a.state(t, id); s != store.Queued {
			t.Errorf("job of an unknown kind is %s", s)
		}
		b := w.start(other, worker.Options{})
		if info, err := b.rt.Client().Wait(t.Context(), id); err != nil || info.State != store.Succeeded {
			t.Errorf("job is %s, error %v", info.State, err)
		}
		a.stop(t)
		b.stop(t)
	})
}

func TestMessagesThatNobodyCanReadAreParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		reg, _ := sleeper("sleep")
		r := w.start(reg, worker.Options{})
		for _, queue := range []string{functions.DefaultQueue, functions.SubmitQueue} {
			if err := w.queue.SendDirect(t.Context(), queue, 0, []pubsubq.Raw{{Body: []byte("\xff poison of " + queue)}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, hint := range []string{`{"id":"job-none"}`, `{"id":"job-\u0000"}`} {
			if err := w.queue.SendDirect(t.Context(), functions.DefaultQueue, 0, []pubsubq.Raw{{Body: []byte(hint)}}); err != nil {
				t.Fatal(err)
			}
		}
		id := r.submit(t, "sleep", 1)
		if info, err := r.rt.Client().Wait(t.Context(), id); err != nil || info.State != store.Succeeded {
			t.Errorf("job is %s, error %v", info.State, err)
		}
		time.Sleep(time.Second) // the message of a job that is not there is looked at twice
		parked, _, err := r.rt.Client().Parked(t.Context(), 10, "")
		queues := map[string]int{}
		for _, p := range parked {
			queues[p.Queue]++
		}
		if want := map[string]int{functions.DefaultQueue: 2, functions.SubmitQueue: 1}; err != nil || !maps.Equal(queues, want) {
			t.Errorf("parked %v, %v, want %v; all: %+v", queues, err, want, parked)
		}
		if n := w.queue.Len(functions.DefaultQueue) + w.queue.InFlight(functions.DefaultQueue); n != 0 {
			t.Errorf("%d messages left", n)
		}
		r.stop(t)
	})
}

func TestRetriesComeAtTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := functions.NewRegistry()
		var at []time.Duration
		start := time.Now()
		functions.Handle(reg, "flaky", func(_ context.Context, job *functions.Job[int]) (int, error) {
			at = append(at, time.Since(start))
			if job.Attempt < 4 {
				return 0, errors.New("not yet")
			}
			return 0, nil
		}, functions.Retries(functions.Linear(time.Second, time.Minute)))
		r := newWorld(t).start(reg, worker.Options{})
		id := r.submit(t, "flaky", 0)
		if info, err := r.rt.Client().Wait(t.Context(), id); err != nil || info.State != store.Succeeded {
			t.Errorf("job is %s, error %v", info.State, err)
		}
		want := []time.Duration{0, time.Second, 3 * time.Second, 6 * time.Second}
		if !slices.Equal(at, want) {
			t.Errorf("attempts at %v, want %v", at, want)
		}
		r.stop(t)
	})
}

// The sweeps of a worker find what no message tells of.
func TestSweepStartsWhatHasNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, _ := sleeper("sleep")
		r := newWorld(t).start(reg, worker.Options{SweepEvery: 10 * time.Second})
		start := time.Now()
		id := r.submit(t, "sleep", 1, functions.After(3*time.Hour)) // longer than the queue keeps a message back
		if info, err := r.rt.Client().Wait(t.Context(), id); err != nil || info.State != store.Succeeded {
			t.Errorf("job is %s, error %v", info.State, err)
		}
		if late := time.Since(start) - 3*time.Hour; late < 0 || late > 15*time.Second {
			t.Errorf("it ended %v after its time", late)
		}
		r.stop(t)
	})
}

func TestMisconfigurationIsRefused(t *testing.T) {
	w := newWorld(t)
	rt := w.runtime(functions.NewRegistry(), functions.Config{})
	queues := []string{"default", "reports"}
	for _, c := range []struct {
		opts worker.Options
		want string
	}{
		{worker.Options{Concurrency: -1}, "Concurrency (-1)"},
		{worker.Options{Queues: queues, PerQueue: map[string]int{"report": 1}}, `"report"`},
		{worker.Options{Queues: queues, PerQueue: map[string]int{"reports": 0}}, "at least 1"},
		{worker.Options{Queues: []string{functions.SubmitQueue}}, "use another name"},
	} {
		_, err := worker.New(rt, w.receiver, &c.opts)
		if !errors.Is(err, functions.ErrConfig) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("error %v, want one that says %s", err, c.want)
		}
	}
	none := func(string) *pubsubq.Receiver { return nil }
	_, err := worker.New(rt, none, &worker.Options{Queues: queues})
	if want := `no receiver of queue "default"`; !errors.Is(err, functions.ErrConfig) || !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("error %v, want one that says %s", err, want)
	}
}

// A worker pulls the queues of all kinds that have a handler and those that triggers name, and
// leaves alone the queues of kinds that other programs run.
func TestAWorkerPullsAllQueuesOfItsRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := functions.NewRegistry()
		run := func(context.Context, *functions.Job[int]) (int, error) { return 0, nil }
		functions.Handle(reg, "here", run)
		functions.Handle(reg, "reports", run, functions.Queue("slow"))
		functions.Kind[int, int]("elsewhere", functions.Queue("other")).Declare(reg)
		reg.Trigger(trigger.JSONBody("here", functions.Queue("events")))
		var log printed.Text
		w := newWorld(t)
		r := w.startOn(w.runtime(reg, functions.Config{Log: slog.New(slog.NewTextHandler(&log, nil))}), worker.Options{})
		for _, kind := range []string{"here", "reports"} {
			if i, err := r.rt.Client().Wait(t.Context(), r.submit(t, kind, 1)); err != nil || i.State != store.Succeeded {
				t.Errorf("the job of kind %s is %s (%v), want succeeded", kind, i.State, err)
			}
		}
		r.stop(t)
		if !log.HasLine("worker starts", `queues="[default events slow]"`) || log.HasLine("does not pull") {
			t.Errorf("want a line with the queues default, events and slow, and no warning:\n%s", log.String())
		}
	})
}

// A worker says what it does, and which kinds it runs whose queue it does not pull.
func TestAWorkerSaysWhatItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := functions.NewRegistry()
		run := func(context.Context, *functions.Job[int]) (int, error) { return 0, nil }
		functions.Handle(reg, "here", run)
		functions.Handle(reg, "reports", run, functions.Queue("slow"))
		functions.Kind[int, int]("elsewhere", functions.Queue("other")).Declare(reg)
		var log printed.Text
		w := newWorld(t)
		r := w.startOn(w.runtime(reg, functions.Config{Log: slog.New(slog.NewTextHandler(&log, nil))}), worker.Options{Concurrency: 3}, functions.DefaultQueue)
		synctest.Wait()
		r.stop(t)
		for _, want := range [][]string{
			{"worker starts", "queues=[default]", "kinds=2", "concurrency=3"}, {"does not pull its queue", "kind=reports", "queue=slow"}, {"worker has ended"},
		} {
			if !log.HasLine(want...) {
				t.Errorf("no line of the log has %q:\n%s", want, log.String())
			}
		}
		if log.HasLine("does not pull", "kind=here") || log.HasLine("kind=elsewhere") {
			t.Errorf("the log warns of kinds that are pulled, or not run here:\n%s", log.String())
		}
	})
}
