package functions

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// returned is what a handler returned.
type returned struct {
	value any
	err   error
}

// errGoexit is what a handler returned that called runtime.Goexit, as t.FailNow of a test does.
var errGoexit = errors.New("the handler ended its goroutine without returning (runtime.Goexit, or t.FailNow in a test)")

// Start runs an attempt in a goroutine of its own, keeps its lease meanwhile, and when it has ended calls done with
// the outcome, once. When ctx is cancelled, or near its deadline, the handler is told to stop. A handler that does not
// stop within StopGrace of being told, or by half of the Margin before the deadline, is left behind: the attempt ends
// without it, and nothing that it does later is kept. spawn runs a function concurrently, on a goroutine that the caller
// keeps for it perhaps; nil: on a new one.
func (a *Attempt) Start(ctx context.Context, spawn func(func()), done func(Outcome)) {
	inner, release := a.begin(ctx)
	a.mu.Lock()
	a.ctx = ctx
	a.done = func(out Outcome) {
		release()
		a.rt.pulse.remove(a)
		done(out)
	}
	if a.cause != nil {
		a.leave()
	}
	a.mu.Unlock()
	a.rt.pulse.add(a)
	run := func() {
		r := returned{err: errGoexit}
		defer func() {
			a.hasReturned()
			a.conclude(&r)
		}()
		r.value, r.err = a.call(inner)
	}
	if spawn == nil {
		go run()
	} else {
		spawn(run)
	}
}

// conclude ends a started attempt with what its handler returned, or nil to leave the handler behind; unless it was ended
// before: of a handler that returns and the clock that leaves it behind, the first counts.
func (a *Attempt) conclude(r *returned) {
	a.mu.Lock()
	first := !a.over
	a.over = true
	a.mu.Unlock()
	if !first {
		return
	}
	if r == nil {
		r = a.deserted()
	}
	a.done(a.finish(a.ctx, *r))
}

// Execute is Start that waits for the end.
func (a *Attempt) Execute(ctx context.Context) Outcome {
	out := make(chan Outcome, 1)
	a.Start(ctx, nil, func(o Outcome) { out <- o })
	return <-out
}

// Run is Execute without heartbeats and time limits of its own: it is for callers that call Beat when it says, on a
// clock of theirs. It does not look at that clock: a handler that does not stop has StopGrace, whenever the platform's
// deadline is.
func (a *Attempt) Run(ctx context.Context) Outcome {
	inner, release := a.begin(ctx)
	defer release()
	done := make(chan returned, 1)
	go func() {
		r := returned{err: errGoexit}
		defer func() {
			a.hasReturned()
			done <- r
		}()
		r.value, r.err = a.call(inner)
	}()
	select {
	case r := <-done:
		return a.finish(ctx, r)
	case <-inner.Done():
	}
	a.mu.Lock()
	a.patience = a.rt.cfg.StopGrace
	grace := time.NewTimer(a.patience)
	a.mu.Unlock()
	defer grace.Stop()
	select {
	case r := <-done:
		return a.finish(ctx, r)
	case <-grace.C:
		return a.finish(ctx, *a.deserted())
	}
}

// deserted leaves the handler behind, which did not stop when it was told to, and stands in for what it returns.
func (a *Attempt) deserted() *returned {
	a.leaveBehind()
	a.mu.Lock()
	defer a.mu.Unlock()
	return &returned{err: fmt.Errorf("%w; the handler did not return within %v of it", a.cause, a.patience)}
}

// call runs the handler inside the middleware. A panic is an error with its stack.
func (a *Attempt) call(ctx context.Context) (value any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: string(debug.Stack())}
		}
	}()
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
	call := a.rt.reg.wrap(a.rt.info(j), func(ctx context.Context) (err error) {
		value, err = a.kind.call(ctx, a, args)
		return err
	})
	err = call(ctx)
	return value, err
}
