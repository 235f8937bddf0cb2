package functions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/functions/internal/telemetry"
	"github.com/piecework/piecework/store"
)

// Attempt is a job that this process holds under a lease. The claimer must call exactly one of
// Start, Execute and Run. Start and Execute renew the lease themselves. With Run the caller must
// call Beat at the times that Beat returns.
type Attempt struct {
	life // the phase, and the lock of job, cancel, lease, limits and work

	rt    *Runtime
	kind  *kind
	token string
	start time.Time
	span  trace.Span      // nil without a tracer
	ctx   context.Context // of Start
	done  func(Outcome)   // of Start; nil with Run

	job    store.Job // as the attempt last saw or wrote it
	cancel context.CancelCauseFunc
	lease  leaseClock
	limits limits
	work   workspace
}

// handled is what a handler's call came to. All code of the handler's values and errors has run by
// then: nothing that reads a handled calls a method of theirs.
type handled struct {
	result     []byte // JSON, if err is nil
	err        error
	stack      string     // if err is a panic
	directive  *directive // what err asks for; nil: nothing
	checkpoint []byte     // JSON, if the directive saves one
}

// newAttempt returns the attempt of a job that was claimed at now.
func (rt *Runtime) newAttempt(k *kind, j store.Job, token string, span trace.Span, now time.Time) *Attempt {
	a := &Attempt{
		life: life{phase: phaseClaimed}, rt: rt, kind: k, token: token, job: j, start: now, span: span, lease: newLeaseClock(rt, now),
	}
	a.work = newWorkspace(&a.life, rt, j, token)
	return a
}

// ID returns the job's id.
func (a *Attempt) ID() string { return a.work.id }

// seen is the job as the attempt last saw it.
func (a *Attempt) seen() store.Job {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.job
}

// Start runs the handler in a goroutine of its own and keeps the lease. When the attempt has ended,
// Start calls done with the outcome, once. The handler is told to stop when ctx is cancelled and
// near its deadline. A handler that does not return within StopGrace of that, or by half of the
// Margin before the deadline, is abandoned: the attempt ends without it, and nothing that it does
// later is kept. spawn runs a function on another goroutine; nil starts a new one.
func (a *Attempt) Start(ctx context.Context, spawn func(func()), done func(Outcome)) {
	inner, release := a.begin(ctx)
	a.mu.Lock()
	a.ctx = ctx
	a.done = func(out Outcome) {
		release()
		a.rt.pulse.remove(a)
		done(out)
	}
	if a.limits.cause != nil {
		a.limits.setGrace(&a.rt.cfg)
	}
	a.mu.Unlock()
	a.rt.pulse.add(a)
	run := func() { a.call(inner, a.conclude) }
	if spawn == nil {
		go run()
	} else {
		spawn(run)
	}
}

// conclude ends a started attempt.
func (a *Attempt) conclude(h *handled) { a.done(a.finish(a.ctx, h)) }

// Execute is Start that waits for the end.
func (a *Attempt) Execute(ctx context.Context) Outcome {
	out := make(chan Outcome, 1)
	a.Start(ctx, nil, func(o Outcome) { out <- o })
	return <-out
}

// Run is Execute for callers with a clock of their own. The caller must call Beat, which sends
// heartbeats and enforces time limits. A handler that does not stop is abandoned after StopGrace,
// whenever the platform's deadline is.
func (a *Attempt) Run(ctx context.Context) Outcome {
	inner, release := a.begin(ctx)
	defer release()
	done := make(chan *handled, 1)
	go a.call(inner, func(h *handled) { done <- h })
	select {
	case h := <-done:
		return a.finish(ctx, h)
	case <-inner.Done():
	}
	a.mu.Lock()
	a.limits.grace = a.rt.cfg.StopGrace
	grace := time.NewTimer(a.limits.grace)
	a.mu.Unlock()
	defer grace.Stop()
	select {
	case h := <-done:
		return a.finish(ctx, h)
	case <-grace.C:
	}
	if h := a.abandon(); h != nil {
		return a.finish(ctx, h)
	}
	return a.finish(ctx, <-done)
}

// begin starts the attempt: it sets the limits and returns the handler's context, and a function
// that releases it.
func (a *Attempt) begin(ctx context.Context) (context.Context, func()) {
	inner, cancel := context.WithCancelCause(a.rt.calledBy(a.withSpan(context.WithoutCancel(ctx)), a.ID()))
	a.mu.Lock()
	if !a.advance(eventStart) {
		a.mu.Unlock()
		panic("functions: attempt of job " + a.ID() + " was started before; call one of Start, Execute and Run, once")
	}
	a.cancel = cancel
	a.limits.set(ctx, &a.rt.cfg, a.job, a.start)
	if a.limits.cause != nil { // told before it was started
		a.advance(eventStop)
		cancel(a.limits.cause)
	}
	at := a.limits.at
	a.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { a.stop(shutdownCause(ctx)) })
	if !at.IsZero() {
		inner = deadlineContext{inner, at}
	}
	return inner, func() { stop() }
}

// stop tells the handler to stop: it cancels the attempt's context. The first cause counts, unless
// the lease is lost. If the handler has returned, its outputs have the same grace to be closed as it
// would have had, so that a result counts although it came shortly before its job was cancelled; not
// with Run, which has no timer for that.
func (a *Attempt) stop(cause error) {
	a.mu.Lock()
	first := a.limits.cause == nil
	if !first && (isLost(a.limits.cause) || !isLost(cause)) || !a.advance(eventStop) {
		a.mu.Unlock()
		return
	}
	a.limits.cause = cause
	if a.cancel != nil && (!a.phase.over() || a.done == nil || isLost(cause)) {
		a.cancel(cause) // a context keeps its first cause
	}
	if first && a.done != nil {
		a.limits.setGrace(&a.rt.cfg)
	}
	a.mu.Unlock()
	a.rt.pulse.reschedule(a)
}

// Stopped returns the cause with which the attempt was told to stop, or nil.
func (a *Attempt) Stopped() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limits.cause
}

// call runs the handler and gives what came of it to then, unless the handler was abandoned.
func (a *Attempt) call(ctx context.Context, then func(*handled)) {
	h := &handled{}
	guard.Then(func() error {
		value, err := a.invoke(ctx)
		if a.leaseGone() { // a result would be encoded for nothing
			return ErrLeaseLost
		}
		return h.read(a.ID(), value, err)
	}, func(err error) {
		if !a.handlerReturned() {
			return
		}
		if err == guard.ErrGoexit { //nolint:errorlint // the handler itself, not something that it called
			err = fmt.Errorf("the handler %w", err)
		}
		h.err, h.stack = err, guard.StackOf(err)
		then(h)
	})
}

// invoke runs the handler inside the middleware.
func (a *Attempt) invoke(ctx context.Context) (any, error) {
	j := a.seen()
	data, err := a.rt.unpack(ctx, j.Args)
	if err != nil {
		return nil, fmt.Errorf("read arguments: %w", err)
	}
	args, err := a.kind.decode(data, false)
	if err != nil {
		return nil, Permanent(err)
	}
	if !a.rt.reg.wrapped() {
		return a.kind.call(ctx, a, args)
	}
	var value any
	call := a.rt.reg.wrap(a.rt.info(j), func(ctx context.Context) error {
		v, err := a.kind.call(ctx, a, args)
		value = v // also if the middleware did not wait for the handler: then call returns an error
		return err
	})
	if err := call(ctx); err != nil {
		return nil, err
	}
	return value, nil
}

// handlerReturned notes that the handler has returned, and reports whether it did so in time.
func (a *Attempt) handlerReturned() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.advance(eventReturn)
	if a.phase == phaseReturned {
		return true
	}
	a.rt.countAbandoned(a.job, -1)
	return false
}

// abandon gives up the handler, which did not stop in time, and returns what stands in for its
// result; nil if the handler has returned or was abandoned before. From then on the handler's
// writes are cut off and new ones are refused. If the handler has returned, only the writes that
// still run are cut off.
func (a *Attempt) abandon() *handled {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.advance(eventAbandon) {
		return nil
	}
	a.limits.abandonAt = time.Time{}
	a.cutOff(a.limits.cause)
	if a.phase == phaseReturned {
		return nil
	}
	a.rt.countAbandoned(a.job, 1)
	return &handled{err: fmt.Errorf("%w; the handler did not return within %v of it", a.limits.cause, a.limits.grace)}
}

// cutOff ends the context of the handler and its writes, whatever contexts they have. The caller
// holds mu.
func (a *Attempt) cutOff(cause error) {
	if a.cancel != nil {
		a.cancel(cause)
	}
	a.work.cutOff()
}

// countAbandoned counts the handlers that were abandoned and have not returned.
func (rt *Runtime) countAbandoned(j store.Job, by int64) {
	rt.stats.HandlersAbandoned.Add(by)
	rt.tel.CountAbandoned(context.Background(), j, by)
}

// read takes all that counts from what a handler returned. It returns the error of the attempt.
func (h *handled) read(id string, value any, err error) error {
	if err == nil {
		if h.result, err = encode(value); err == nil {
			err = checkDepth(h.result)
		}
		if err != nil {
			err = Permanent(fmt.Errorf("encode result: %w", err))
		}
	}
	if d, ok := errors.AsType[*directive](err); ok {
		h.directive = d
		if d.what == "continue" && d.save {
			if h.checkpoint, err = encode(d.checkpoint); err != nil {
				h.directive = nil
				return fmt.Errorf("checkpoint of job %s: %w", id, err)
			}
			return d
		}
	}
	return err
}

// withSpan returns ctx with the span of the attempt; see telemetry.WithSpan.
func (a *Attempt) withSpan(ctx context.Context) context.Context {
	return telemetry.WithSpan(ctx, a.span, a.seen().Trace)
}
