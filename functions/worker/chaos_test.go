package worker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// chaos stands between workers and what they use. Its store refuses calls, loses answers and
// stalls; its queue loses, doubles and delays messages, and loses acknowledgements.
type chaos struct {
	calm atomic.Bool // no more faults

	mu  sync.Mutex
	rnd *rand.Rand

	inHand atomic.Int64 // messages that were received and neither acked nor nacked
}

// chance reports true in one of n cases.
func (c *chaos) chance(n int) bool { return !c.calm.Load() && c.pick(n) == 0 }

// pick returns a number below n.
func (c *chaos) pick(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(n)
}

// unreachable is the error of a call; docstore writes into it.
func unreachable() driver.ActionListError {
	return driver.ActionListError{{Index: -1, Err: errors.New("no route to host")}}
}

// actions is the hook of the store.
func (c *chaos) actions(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
	switch fate := c.pick(60); {
	case c.calm.Load():
	case fate < 2:
		return unreachable()
	case fate < 4:
		next(ctx, acts)
		return unreachable()
	case fate == 4:
		select {
		case <-time.After(time.Duration(c.pick(40)) * time.Second):
		case <-ctx.Done():
			return driver.ActionListError{{Index: -1, Err: ctx.Err()}}
		}
	}
	return next(ctx, acts)
}

// queue is a queue in chaos.
type queue struct {
	pubsubq.Direct
	*chaos
}

func (q queue) SendDirect(ctx context.Context, name string, delay time.Duration, msgs []pubsubq.Raw) error {
	for _, m := range msgs {
		if q.chance(10) { // it is lost
			continue
		}
		if q.chance(10) {
			if err := q.Direct.SendDirect(ctx, name, delay+time.Duration(q.pick(90))*time.Second, []pubsubq.Raw{m}); err != nil {
				return err
			}
		}
		if err := q.Direct.SendDirect(ctx, name, delay, []pubsubq.Raw{m}); err != nil {
			return err
		}
	}
	return nil
}

func (q queue) SubscribeDirect(name string) (pubsubq.DirectSubscription, error) {
	s, err := q.Direct.SubscribeDirect(name)
	return subscription{s, q.chaos}, err
}

// subscription counts what is in hand, and loses acknowledgements.
type subscription struct {
	pubsubq.DirectSubscription
	*chaos
}

func (s subscription) ReceiveDirect(ctx context.Context, most int) ([]*pubsubq.Delivery, error) {
	ds, err := s.DirectSubscription.ReceiveDirect(ctx, most)
	for i, d := range ds {
		s.inHand.Add(1)
		ds[i] = pubsubq.NewDelivery(pubsubq.Raw{Body: d.Body, Metadata: d.Metadata}, d.LoggableID, func(ack bool) {
			s.inHand.Add(-1)
			if ack && !s.chance(10) {
				d.Ack()
			} else {
				d.Nack()
			}
		})
	}
	return ds, err
}

// task is the arguments of a job in chaos.
type task struct {
	For time.Duration // it works for so long
	End string        // fine, fails, panics, exits, or deaf: it does not care for its context
}

// deafFor is how long a deaf handler takes, far longer than the kind's time limit.
const deafFor = 5 * time.Minute

// do is the handler. Alive counts the handlers of one worker.
func do(alive, most *atomic.Int64) func(context.Context, *functions.Job[task]) (task, error) {
	return func(ctx context.Context, job *functions.Job[task]) (task, error) {
		n := alive.Add(1)
		defer alive.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if job.Args.End == "deaf" {
			time.Sleep(deafFor) // virtual time
			return job.Args, nil
		}
		for left := job.Args.For; left > 0; left -= time.Second {
			if err := job.Checkpoint(ctx, left); err != nil {
				return task{}, err
			}
			select {
			case <-ctx.Done():
				return task{}, context.Cause(ctx)
			case <-time.After(min(left, time.Second)):
			}
		}
		switch job.Args.End {
		case "fails":
			return task{}, errors.New("it fails")
		case "panics":
			panic("it panics")
		case "exits":
			runtime.Goexit()
		}
		return job.Args, nil
	}
}

// The worker's own loop keeps its promises while the store and the queue fail and workers are
// stopped and killed: every job ends, and as its handler says; no worker runs more handlers than it
// may; every message that it received is acknowledged or given back; and in the end no goroutine is
// left, which the bubble checks. Goroutines of one moment run in an order that differs from run to
// run, so -count plays further histories of each seed.
func TestWorkersInChaos(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playChaos(t, seed) })
		})
	}
}

func playChaos(t *testing.T, seed uint64) {
	const slots, workers = 3, 3
	c := &chaos{rnd: rand.New(rand.NewPCG(seed, 0))}
	w := newWorld(t)
	inner, err := mem.OpenCollection()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inner.Close() }()
	coll := relay.New(inner, relay.Hooks{Actions: c.actions})
	defer func() { _ = coll.Close() }()
	if w.store, err = store.New(coll, nil); err != nil {
		t.Fatal(err)
	}
	w.direct = queue{w.queue, c}
	start := func() (stop func(kind bool)) {
		var alive, most atomic.Int64
		reg := functions.NewRegistry()
		functions.Handle(reg, "task", do(&alive, &most), functions.Timeout(40*time.Second), functions.MaxAttempts(3))
		r := w.start(reg, worker.Options{Concurrency: slots, SweepEvery: 20 * time.Second})
		return func(kind bool) {
			if r.cancel(); !kind {
				r.Leave()
			}
			<-r.done // what it abandoned is started again
			if n := most.Load(); n > 2*slots {
				t.Errorf("%d handlers ran at once in a worker, want at most %d and as many that were abandoned", n, slots)
			}
			_ = r.rt.Close()
		}
	}
	asking := w.runtime(functions.NewRegistry(), functions.Config{})
	var stops []func(bool)
	for range workers {
		stops = append(stops, start())
	}
	want := map[string]task{}
	for i := range 60 {
		k := task{time.Duration(c.pick(20)) * time.Second, []string{"fine", "fine", "fine", "fails", "panics", "exits", "deaf"}[c.pick(7)]}
		key := fmt.Sprint("job ", i)
		want[key] = k
		body := fmt.Sprintf(`{"kind":"task","key":%q,"args":{"For":%d,"End":%q}}`, key, k.For, k.End)
		if err := w.queue.SendDirect(t.Context(), functions.SubmitQueue, 0, []pubsubq.Raw{{Body: []byte(body)}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(c.pick(20)) * time.Second) // virtual time
		if c.chance(6) {
			n := c.pick(workers)
			stops[n](c.pick(2) == 0)
			stops[n] = start()
		}
	}
	c.calm.Store(true)
	jobs := settled(t, asking.Client(), len(want))
	for _, stop := range stops {
		stop(true)
	}
	time.Sleep(deafFor) // virtual time: those that were abandoned return
	for _, j := range jobs {
		k := want[j.Key]
		if good := k.End == "fine"; good && j.State != store.Succeeded && len(j.Attempts) < 3 || !good && j.State != store.Failed {
			t.Errorf("%s (%s for %v) is %s after %d attempts: %s", j.Key, k.End, k.For, j.State, len(j.Attempts), j.Error)
		}
	}
	if n := c.inHand.Load(); n != 0 {
		t.Errorf("%d messages were received and neither acknowledged nor given back, want 0", n)
	}
}

// settled waits until there are as many jobs and all have ended, for a day at most.
func settled(t *testing.T, client *functions.Client, want int) []functions.Info {
	t.Helper()
	open := 0
	for range 24 * 60 {
		time.Sleep(time.Minute) // virtual time
		list, err := client.List(t.Context(), functions.ListFilter{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		open = want - len(list.Jobs)
		for _, j := range list.Jobs {
			if !j.Done() {
				open++
			}
		}
		if open == 0 {
			return list.Jobs
		}
	}
	t.Fatalf("%d of %d jobs have not ended after a day without faults", open, want)
	return nil
}
