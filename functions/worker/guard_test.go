package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/printed"
)

// misbehaviours are what code of the program may do in place of returning.
var misbehaviours = map[string]func(context.Context){
	"panic":           func(context.Context) { panic("boom") },
	"Goexit":          func(context.Context) { runtime.Goexit() },
	"hang":            func(context.Context) { time.Sleep(24 * time.Hour) }, // virtual time
	"hang until told": func(ctx context.Context) { <-ctx.Done() },
}

func TestAHookThatMisbehavesKeepsNoSlot(t *testing.T) {
	for name, misbehave := range misbehaviours {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				reg, g := sleeper("sleep")
				reg.OnEnd(func(ctx context.Context, _ functions.Info) error {
					misbehave(ctx)
					return ctx.Err()
				})
				r := w.start(reg, worker.Options{Concurrency: 2, SweepEvery: -1})
				for range 6 {
					r.submit(t, "sleep", 10)
				}
				time.Sleep(3 * time.Minute)
				if n := g.total.Load(); n != 6 {
					t.Errorf("%d of 6 jobs ran, with 2 slots and hooks that have 30 seconds each", n)
				}
				r.stop(t)
				time.Sleep(48 * time.Hour) // virtual time: what was abandoned returns
				synctest.Wait()
			})
		})
	}
}

func TestFunctionsOfTheOptionsMayMisbehave(t *testing.T) {
	for name, misbehave := range misbehaviours {
		if name == "hang until told" {
			continue // they have no context
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				reg, g := sleeper("sleep")
				log := &printed.Text{}
				r := w.start(reg, worker.Options{
					Concurrency: 2, SweepEvery: -1, Log: slog.New(slog.NewTextHandler(log, nil)),
					OnOutcome: func(string, functions.Outcome) { misbehave(t.Context()) },
					SubmitKey: func(d *pubsubq.Delivery) string {
						if strings.Contains(string(d.Body), "bad") {
							misbehave(t.Context())
						}
						return ""
					},
				})
				for _, body := range []string{`{"kind":"sleep","args":1,"tags":["bad"]}`, `{"kind":"sleep","args":1}`, `{"kind":"sleep","args":1}`} {
					if err := w.queue.SendDirect(t.Context(), functions.SubmitQueue, 0, []pubsubq.Raw{{Body: []byte(body)}}); err != nil {
						t.Fatal(err)
					}
				}
				for range 4 {
					r.submit(t, "sleep", 10)
				}
				time.Sleep(3 * time.Minute)
				if n := g.total.Load(); n != 6 {
					t.Errorf("%d jobs ran, want 4 and the 2 whose key could be found", n)
				}
				if !log.HasLine("OnOutcome failed", "queue=default") {
					t.Errorf("log = %s, want a line about OnOutcome", log)
				}
				parked, _, err := r.rt.Client().Parked(t.Context(), 10, "")
				if err != nil || len(parked) != 1 || !strings.Contains(parked[0].Reason, "SubmitKey: ") {
					t.Errorf("parked %+v, error %v; want the message for which SubmitKey failed", parked, err)
				}
				r.stop(t)
				time.Sleep(48 * time.Hour) // virtual time
				synctest.Wait()
			})
		})
	}
}

// A message is acknowledged when its job is claimed, not before: nothing else may wake a worker for
// it.
func TestAMessageWhoseJobCannotBeClaimedComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		other, _ := sleeper("other")
		first := w.start(other, worker.Options{SweepEvery: -1})
		reg, g := sleeper("sleep")
		receipt, err := w.runtime(reg, functions.Config{}).Client().Submit(t.Context(), "sleep", 10)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if n := first.rt.Stats().MessagesReturned.Load(); n < 2 {
			t.Errorf("the message was given back %d times in 30 seconds, want it delivered again and again", n)
		}
		first.stop(t)
		second := w.start(reg, worker.Options{SweepEvery: -1})
		time.Sleep(30 * time.Second)
		if s := second.state(t, receipt.ID); s != store.Succeeded || g.total.Load() != 1 {
			t.Errorf("job is %s after %d runs, want succeeded after one", s, g.total.Load())
		}
		second.stop(t)
	})
}

// Messages that start nothing take no slot with them, however many come at once.
func TestMessagesThatStartNothingGiveTheirSlotsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		reg, g := sleeper("sleep")
		sender := pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: w.queue})
		var useless []pubsubq.Message
		for n := range 40 {
			useless = append(useless, pubsubq.Message{ID: fmt.Sprintf("job-gone-%d", n)})
		}
		if err := sender.Send(t.Context(), functions.DefaultQueue, 0, useless...); err != nil {
			t.Fatal(err)
		}
		var outcomes atomic.Int64
		r := w.start(reg, worker.Options{
			Concurrency: 8, SweepEvery: -1, OnOutcome: func(string, functions.Outcome) { outcomes.Add(1) },
		})
		time.Sleep(30 * time.Second)
		if n := outcomes.Load(); n != 40 {
			t.Errorf("%d messages were dealt with, want 40", n)
		}
		for range 16 {
			r.submit(t, "sleep", 1000)
		}
		time.Sleep(500 * time.Millisecond)
		if n := g.now.Load(); n != 8 {
			t.Errorf("%d jobs run at once, want all 8 slots used", n)
		}
		time.Sleep(10 * time.Second)
		r.stop(t)
	})
}
