package throttle

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

// process is a worker with a store of its own, as a process has.
type process struct {
	throttle *fault.Throttle
	store    *store.Store
	rt       *functions.Runtime
	cancel   context.CancelFunc
	done     chan error

	mu    sync.Mutex
	asked map[time.Time]bool // when, while the store refused all
}

// plant are processes that share a store behind one bucket, on a bubble's clock.
type plant struct {
	t     *testing.T
	inner *docstore.Collection
	queue *memqueue.Queue
	all   []*process
}

func newPlant(t *testing.T, bucket *fault.Bucket, flavour fault.Flavour, reg func() *functions.Registry, n int) *plant {
	t.Helper()
	inner, err := mem.OpenCollection()
	if err != nil {
		t.Fatal(err)
	}
	p := &plant{t: t, inner: inner, queue: memqueue.New(nil)}
	blobs := memblob.OpenBucket(nil)
	for i := range n {
		pr := &process{done: make(chan error, 1), asked: map[time.Time]bool{}}
		pr.throttle = &fault.Throttle{Flavour: flavour, Admit: func(ctx context.Context, op fault.Op, n int) bool {
			pr.mu.Lock()
			defer pr.mu.Unlock()
			ok := bucket.Admit(ctx, op, n)
			if bucket.Chance() == never {
				pr.asked[time.Now()] = true
			}
			return ok
		}}
		coll := pr.throttle.Collection(inner)
		if pr.store, err = store.New(coll, &store.Options{Timing: store.Timing{Native: time.Hour}}); err != nil {
			t.Fatal(err)
		}
		pr.rt, err = functions.New(reg(), functions.Backends{
			Store: pr.store, Blobs: blobout.New(blobs, nil),
			Queue: pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: p.queue}),
		}, functions.Config{Worker: fmt.Sprint("worker-", i), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		receiver := func(queue string) *pubsubq.Receiver {
			return pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: p.queue, Queue: queue})
		}
		w, err := worker.New(pr.rt, receiver, &worker.Options{Concurrency: 50, SweepEvery: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		var ctx context.Context
		ctx, pr.cancel = context.WithCancel(t.Context())
		go func() { pr.done <- w.Run(ctx) }()
		p.all = append(p.all, pr)
		t.Cleanup(func() { _, _ = pr.rt.Close(), coll.Close() })
	}
	t.Cleanup(func() { _, _, _ = p.queue.Close(), blobs.Close(), inner.Close() })
	return p
}

func (p *plant) stop() {
	p.t.Helper()
	for _, pr := range p.all {
		pr.cancel()
	}
	for _, pr := range p.all {
		if err := <-pr.done; err != nil {
			p.t.Error(err)
		}
	}
}

// tally adds up what was asked of the store.
func (p *plant) tally() (sum fault.Tally) {
	for _, pr := range p.all {
		t := pr.throttle.Tally()
		sum.Asked += t.Asked
		sum.Refused += t.Refused
	}
	return sum
}

// jobs reads jobs, unthrottled.
func (p *plant) jobs(ids []string) []store.Result {
	p.t.Helper()
	s, err := store.New(p.inner, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return s.GetMany(p.t.Context(), ids)
}

// wait lets an hour pass at most, until all jobs have ended, and says how long that was.
func (p *plant) wait(ids []string) time.Duration {
	start := time.Now()
	for left := ids; len(left) > 0 && time.Since(start) < time.Hour; {
		time.Sleep(time.Second) // in virtual time
		for len(left) > 0 {     // the first of them mostly tells enough
			if j := p.jobs(left[:1])[0].Job; !j.State.Final() {
				break
			}
			left = left[1:]
		}
	}
	return time.Since(start)
}

// submit submits jobs through a process's own, throttled, store.
func (pr *process) submit(t *testing.T, kind string, n int) []string {
	t.Helper()
	subs := make([]functions.Submission, n)
	for i := range subs {
		subs[i] = functions.Submission{Kind: kind, Args: i}
	}
	receipts, err := pr.rt.Client().SubmitMany(t.Context(), subs)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, n)
	for i, r := range receipts {
		if ids[i] = r.ID; r.Err != nil {
			t.Fatalf("submission %d: %v", i, r.Err)
		}
	}
	return ids
}

// never is a chance by which everything is refused.
const never = 10_000

// steps registers a kind that takes a second, with a checkpoint in the middle.
func steps() *functions.Registry {
	reg := functions.NewRegistry()
	functions.Handle(reg, "step", func(ctx context.Context, job *functions.Job[int]) (int, error) {
		for i := range 2 {
			select {
			case <-time.After(500 * time.Millisecond):
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
			if i == 0 {
				if err := job.Checkpoint(ctx, i); err != nil {
					return 0, err
				}
			}
		}
		return job.Args, nil
	}, functions.MaxAttempts(1))
	return reg
}

// A store that admits a bounded rate, and for two minutes refuses three of five at random besides, slows a thousand jobs
// down. None fails, though each has one attempt only, none is lost, and the store is not stormed.
func TestAThousandJobsOutlastThrottling(t *testing.T) {
	for _, flavour := range flavours {
		t.Run(flavour.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				rnd := rand.New(rand.NewPCG(1, 2))
				bucket := &fault.Bucket{Rate: 60, Burst: 120, Rand: rnd.Uint64, Chance: func() uint64 {
					if time.Since(start) < 2*time.Minute {
						return 6000
					}
					return 0
				}}
				p := newPlant(t, bucket, flavour, steps, 2)
				ids := p.all[0].submit(t, "step", 1000)
				p.wait(ids)
				took := time.Since(start)
				for _, r := range p.jobs(ids) {
					if j := r.Job; r.Err != nil || j.State != store.Succeeded || j.Attempt != 1 || j.Errors+j.Lost+j.Timeouts != 0 {
						t.Errorf("job %s is %s after %d attempts, %d errors, %d lost: %s, %v", j.ID, j.State, j.Attempt, j.Errors, j.Lost, j.Error, r.Err)
					}
				}
				p.stop()
				tally := p.tally()
				done := tally.Asked - tally.Refused
				t.Logf("1,000 jobs in %v: %d asked, %d refused, %.1f for each that was done, %.1f done a job",
					took, tally.Asked, tally.Refused, float64(tally.Asked)/float64(done), float64(done)/1000)
				if tally.Refused < 1000 || took < time.Minute {
					t.Errorf("that was no throttling: %+v in %v", tally, took)
				}
				if tally.Asked > 4*done {
					t.Errorf("the store was asked %d times for %d that it did", tally.Asked, done)
				}
				if took > 10*time.Minute {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// While a store refuses everything, for less than a lease, running jobs keep their attempts; and two processes that met
// the refusal at the same moment do not keep step.
func TestAttemptsOutlastARefusalShorterThanTheirLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var chance uint64
		var mu sync.Mutex
		bucket := &fault.Bucket{Rate: 1e9, Burst: 1e9, Rand: func() uint64 { return 0 }, Chance: func() uint64 {
			mu.Lock()
			defer mu.Unlock()
			return chance
		}}
		p := newPlant(t, bucket, fault.Dynamo, steps, 2)
		ids := p.all[0].submit(t, "step", 100)
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		mu.Lock()
		chance = never
		mu.Unlock()
		start := time.Now()
		time.Sleep(45 * time.Second) // their leases have 59 to go
		mu.Lock()
		chance = 0
		mu.Unlock()
		p.wait(ids)
		for _, r := range p.jobs(ids) {
			if j := r.Job; r.Err != nil || j.State != store.Succeeded || j.Attempt != 1 || j.Errors+j.Lost != 0 {
				t.Errorf("job %s is %s after %d attempts, %d errors, %d lost: %s, %v", j.ID, j.State, j.Attempt, j.Errors, j.Lost, j.Error, r.Err)
			}
		}
		if d := time.Since(start); d > 2*time.Minute {
			t.Errorf("everything had ended %v after the refusal began", d)
		}
		p.stop()
		inStep := 0
		for at := range p.all[0].asked {
			if p.all[1].asked[at] {
				inStep++
			}
		}
		one, other := len(p.all[0].asked), len(p.all[1].asked)
		t.Logf("asked %d and %d times while it refused, %d at the same moment", one, other, inStep)
		if one < 20 || other < 20 || inStep > min(one, other)/10 {
			t.Errorf("two processes asked %d and %d times, %d of them at the same moment", one, other, inStep)
		}
	})
}

// A refusal that outlasts the leases costs the attempts, and nothing else: what the package comment says.
func TestARefusalThatOutlastsTheLeaseCostsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var chance uint64
		var mu sync.Mutex
		bucket := &fault.Bucket{Rate: 1e9, Burst: 1e9, Rand: func() uint64 { return 0 }, Chance: func() uint64 {
			mu.Lock()
			defer mu.Unlock()
			return chance
		}}
		reg := func() *functions.Registry {
			reg := functions.NewRegistry()
			functions.Handle(reg, "long", func(ctx context.Context, job *functions.Job[int]) (int, error) {
				select {
				case <-time.After(10 * time.Minute):
					return 0, nil
				case <-ctx.Done():
					return 0, context.Cause(ctx)
				}
			}, functions.MaxAttempts(2), functions.Retries(functions.Constant(time.Second)))
			return reg
		}
		p := newPlant(t, bucket, fault.Mongo, reg, 2)
		ids := p.all[0].submit(t, "long", 20)
		time.Sleep(time.Second)
		mu.Lock()
		chance = never
		mu.Unlock()
		time.Sleep(5 * time.Minute)
		before := p.tally().Asked
		if before > 3000 {
			t.Errorf("in 5 minutes the store was asked for %d documents", before)
		}
		mu.Lock()
		chance = 0
		mu.Unlock()
		p.wait(ids)
		for _, r := range p.jobs(ids) {
			if j := r.Job; r.Err != nil || j.State != store.Succeeded || j.Lost != 1 || j.Errors != 0 || j.Attempt != 2 {
				t.Errorf("job %s is %s after %d attempts, %d errors, %d lost: %s, %v", j.ID, j.State, j.Attempt, j.Errors, j.Lost, j.Error, r.Err)
			}
		}
		p.stop()
	})
}

// behind makes a runtime behind a throttle, whose messages nobody receives.
func behind(t *testing.T, throttle *fault.Throttle) (rt *functions.Runtime, closeAll func()) {
	t.Helper()
	inner, err := mem.OpenCollection()
	if err != nil {
		t.Fatal(err)
	}
	coll := throttle.Collection(inner)
	s, err := store.New(coll, nil)
	if err != nil {
		t.Fatal(err)
	}
	bucket := memblob.OpenBucket(nil)
	rt, err = functions.New(steps(), functions.Backends{
		Store: s, Blobs: blobout.New(bucket, nil), Queue: pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: memqueue.New(nil)}),
	}, functions.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return rt, func() { _, _, _, _ = rt.Close(), bucket.Close(), coll.Close(), inner.Close() }
}

// A sweep against a store that answers nothing ends: patience with every record of every shard would take hours.
func TestASweepDoesNotWaitForAll(t *testing.T) {
	for name, queries := range map[string]bool{"queries too": true, "reads alone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				away := false
				rt, closeAll := behind(t, &fault.Throttle{Admit: func(_ context.Context, op fault.Op, _ int) bool {
					return !away || op.Verb == "query" && !queries
				}})
				defer closeAll()
				(&process{rt: rt}).submit(t, "step", 500)
				time.Sleep(time.Hour)
				away = true
				start := time.Now()
				r, err := rt.Sweep(t.Context(), functions.SweepRequest{})
				if d := time.Since(start); d > 3*time.Minute || queries == (err == nil) || !queries && r.Failures == 0 {
					t.Errorf("a sweep took %v: %+v, %v", d, r, err)
				}
				away = false
				if r, err = rt.Sweep(t.Context(), functions.SweepRequest{}); err != nil || r.Resent != 500 {
					t.Errorf("rt.Sweep: got %+v, %v, want no error && r.Resent == 500", r, err)
				}
			})
		})
	}
}

// A message whose job cannot be claimed comes again, and so does one that cannot be made a job of; neither is dropped or
// parked.
func TestMessagesComeAgain(t *testing.T) {
	for _, flavour := range flavours {
		synctest.Test(t, func(t *testing.T) {
			away := false
			rt, closeAll := behind(t, &fault.Throttle{Flavour: flavour, Admit: func(context.Context, fault.Op, int) bool { return !away }})
			defer closeAll()
			ids := (&process{rt: rt}).submit(t, "step", 2)
			away = true
			if out := rt.Execute(t.Context(), pubsubq.Message{ID: ids[0]}); out.Verdict != functions.Retry || out.After <= 0 {
				t.Errorf("%v: execute: %+v", flavour, out)
			}
			for _, c := range rt.Claim(t.Context(), pubsubq.Message{ID: ids[0]}, pubsubq.Message{ID: ids[1]}) {
				if c.Attempt != nil || c.Outcome.Verdict != functions.Retry {
					t.Errorf("%v: claim: %+v", flavour, c.Outcome)
				}
			}
			if out := rt.Submit(t.Context(), []byte(`{"kind":"step","args":1}`), nil, "m1"); out.Verdict != functions.Retry {
				t.Errorf("%v: submit: %+v", flavour, out)
			}
			away = false
			if out := rt.Execute(t.Context(), pubsubq.Message{ID: ids[0]}); out.Verdict != functions.Ack {
				t.Errorf("%v: execute: %+v", flavour, out)
			}
			if out := rt.Submit(t.Context(), []byte(`{"kind":"step","args":1}`), nil, "m1"); out.Verdict != functions.Ack || rt.Stats().Parked.Load() != 0 {
				t.Errorf("%v: submit: %+v", flavour, out)
			}
		})
	}
}
