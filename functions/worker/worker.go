package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/pubsubq"
)

// Worker runs jobs in this process. Make one with New.
type Worker struct {
	rt     *functions.Runtime
	opts   Options
	log    *slog.Logger
	queues []*puller
	submit *pubsubq.Receiver // nil: none

	slots     *slots
	held      *held
	pool      *pool
	abandoned *abandoned
	calls     guard.Calls // of the options' functions

	health   health
	started  atomic.Bool
	work     context.Context         // of claims, handlers and sweeps
	stop     context.CancelCauseFunc // of work
	loops    sync.WaitGroup
	attempts sync.WaitGroup
	left     chan struct{} // closed by Leave
	leave    sync.Once
}

// New returns a worker that runs the jobs of rt, from all queues of its registry unless
// Options.Queues names others. It calls receiver once for each queue, with the queue's name; the
// method Receiver of drivers.Queue fits. The worker owns the receivers, and Run shuts them down at
// its end. The caller must close the runtime. Opts may be nil. An error is functions.ErrConfig.
func New(rt *functions.Runtime, receiver func(queue string) *pubsubq.Receiver, opts *Options) (*Worker, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o = o.withDefaults(rt)
	if err := o.check(); err != nil {
		return nil, err
	}
	w := &Worker{
		rt: rt, opts: o, log: o.Log, slots: newSlots(o.Concurrency), held: newHeld(), pool: newPool(), left: make(chan struct{}),
	}
	w.abandoned = newAbandoned(w.slots, o.Concurrency, o.Log)
	for _, queue := range o.Queues {
		recv := receiver(queue)
		if recv == nil {
			return nil, fmt.Errorf("%w: worker: there is no receiver of queue %q", functions.ErrConfig, queue)
		}
		w.queues = append(w.queues, &puller{w: w, queue: queue, recv: recv, share: &share{limit: o.PerQueue[queue]}})
	}
	if o.Submit {
		w.submit = receiver(functions.SubmitQueue)
	}
	return w, nil
}

// errLeft is the cause with which Leave cancels.
var errLeft = fmt.Errorf("%w at once", functions.ErrShutdown)

// Leave ends Run at once, also while it drains. It is for the second signal. Jobs that run then are
// started again by sweep when their leases have run out.
func (w *Worker) Leave() { w.leave.Do(func() { close(w.left) }) }

// Run works until ctx ends or Leave is called, and then drains; see the package comment. It can be
// called once. It returns nil when all attempts have ended.
func (w *Worker) Run(ctx context.Context) error {
	if w.started.Swap(true) {
		return errors.New("worker: Run was called before")
	}
	defer w.pool.close()
	w.health.set(working)
	defer w.health.set(ended)
	w.work, w.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	defer w.stop(functions.ErrShutdown)
	pull, stopPulling := context.WithCancel(ctx)
	defer stopPulling()
	w.loops.Go(func() { w.announce(pull) })
	for _, p := range w.queues {
		for range pullsPerQueue {
			w.loops.Go(func() { p.run(pull) })
		}
	}
	if w.submit != nil {
		w.loops.Go(func() { (&submitter{w, w.submit}).run(pull) })
	}
	if w.opts.SweepEvery > 0 {
		w.loops.Go(func() { (&sweeper{w: w}).run(pull) })
	}
	select {
	case <-ctx.Done():
	case <-w.left:
	}
	stopPulling()
	w.health.set(draining)
	err := w.drain()
	w.log.LogAttrs(ctx, slog.LevelInfo, "worker has ended")
	return err
}

// announce says what this worker does, warns of kinds whose jobs it would never get, and tells the
// directory of kinds what runs here.
func (w *Worker) announce(ctx context.Context) {
	queues, runs := w.opts.Queues, w.rt.Registry().Runs()
	w.log.LogAttrs(ctx, slog.LevelInfo, "worker starts", slog.Any("queues", queues), slog.Int("kinds", len(runs)),
		slog.Int("concurrency", w.opts.Concurrency))
	for _, kind := range slices.Sorted(maps.Keys(runs)) {
		if queue := runs[kind]; !slices.Contains(queues, queue) {
			w.log.LogAttrs(ctx, slog.LevelWarn, "this worker has a handler for a kind and does not pull its queue: pull the queue too, "+
				"unless another worker runs the kind", slog.String("kind", kind), slog.String("queue", queue))
		}
	}
	pause := pause{first: time.Second, most: 5 * time.Minute}
	for {
		err := safely(ctx, w.rt.Announce)
		if err == nil || ctx.Err() != nil {
			return
		}
		d := pause.next()
		w.log.LogAttrs(ctx, slog.LevelWarn, "the kinds of this worker could not be told to other processes",
			slog.Duration("again_in", d), slog.Any("error", err))
		sleep(ctx, d)
	}
}

// drain waits for running attempts, then tells them to stop, then leaves them.
func (w *Worker) drain() error {
	w.rt.Drain()
	w.held.close()
	idle := make(chan struct{})
	go func() {
		w.loops.Wait() // from here on no attempt is added
		w.attempts.Wait()
		close(idle)
	}()
	grace := time.NewTimer(max(w.opts.DrainGrace, 0))
	defer grace.Stop()
	select {
	case <-idle:
		return w.shutdown()
	case <-w.left:
	case <-grace.C:
		w.stop(functions.ErrShutdown)
		select {
		case <-idle:
			return w.shutdown()
		case <-w.left:
		}
	}
	w.stop(errLeft)
	return errors.Join(errors.New("worker: left at once; what ran is started again when its leases have run out"), w.shutdown())
}

// shutdownTime is how long the queues have to take the last acknowledgements.
const shutdownTime = 10 * time.Second

// shutdown ends the receivers, which flushes their acknowledgements.
func (w *Worker) shutdown() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.work), shutdownTime)
	defer cancel()
	errs := make([]error, len(w.queues)+1)
	var wg sync.WaitGroup
	for i, p := range w.queues {
		wg.Go(func() { errs[i] = p.recv.Shutdown(ctx) })
	}
	if w.submit != nil {
		errs[len(w.queues)] = w.submit.Shutdown(ctx)
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("worker: acknowledgements may be lost, so that messages come again: %w", err)
	}
	return nil
}

// settle acknowledges a message that started nothing, or gives it back.
func (w *Worker) settle(queue string, d *pubsubq.Delivery, out functions.Outcome) {
	if out.Verdict == functions.Retry {
		w.held.nack(d, spread(out.After))
	} else {
		d.Ack()
	}
	w.report(queue, out)
}

// outcomeTime is how long OnOutcome may take, which must not block.
const outcomeTime = 10 * time.Second

// report calls OnOutcome.
func (w *Worker) report(queue string, out functions.Outcome) {
	if w.opts.OnOutcome == nil {
		return
	}
	_, err := guard.Within(context.Background(), &w.calls, "", outcomeTime, func(context.Context) (bool, error) {
		w.opts.OnOutcome(queue, out)
		return true, nil
	})
	if err != nil {
		w.log.LogAttrs(w.work, slog.LevelError, "OnOutcome failed", slog.String("queue", queue), slog.String("job", out.JobID),
			slog.Any("error", err), slog.String("stack", guard.StackOf(err)))
	}
}

// pool runs functions on goroutines that stay for the next function. A goroutine starts with a
// small stack, which grows by copying; for jobs of microseconds that copying costs more than the
// handler. The pool grows to as many goroutines as run at once. Make one with newPool.
type pool struct {
	next chan func()
	quit chan struct{}
}

func newPool() *pool { return &pool{next: make(chan func()), quit: make(chan struct{})} }

// run calls f on an idle goroutine, or on a new one if none is idle.
func (p *pool) run(f func()) {
	select {
	case p.next <- f:
	default:
		go p.loop(f)
	}
}

// loop runs f, and then what comes, until the pool is closed. A function that ends its goroutine
// ends the loop with it.
func (p *pool) loop(f func()) {
	for {
		f()
		select {
		case f = <-p.next:
		case <-p.quit:
			return
		}
	}
}

// close ends the idle goroutines, and the other goroutines when their functions return.
func (p *pool) close() { close(p.quit) }
