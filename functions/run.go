package functions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions/internal/guard"
)

// returned is what a handler's call came to. All code of the handler's values and errors has run by then: nothing that
// reads a returned calls a method of theirs.
type returned struct {
	result     []byte // JSON, if err is nil
	err        error
	stack      string     // if err is a panic
	directive  *directive // what err asks for; nil: nothing
	checkpoint []byte     // JSON, if the directive saves one
}

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
	run := func() { a.call(inner, a.conclude) }
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
	done := make(chan *returned, 1)
	go a.call(inner, func(r *returned) { done <- r })
	select {
	case r := <-done:
		return a.finish(ctx, *r)
	case <-inner.Done():
	}
	a.mu.Lock()
	a.patience = a.rt.cfg.StopGrace
	grace := time.NewTimer(a.patience)
	a.mu.Unlock()
	defer grace.Stop()
	select {
	case r := <-done:
		return a.finish(ctx, *r)
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

// call runs the handler and gives what came of it to then, whatever the handler does.
func (a *Attempt) call(ctx context.Context, then func(*returned)) {
	r := &returned{}
	guard.Then(func() error {
		value, err := a.invoke(ctx)
		if a.isGone() { // a result would be encoded for nothing
			return ErrLeaseLost
		}
		return r.read(a.ID(), value, err)
	}, func(err error) {
		a.hasReturned()
		if err == guard.ErrGoexit { //nolint:errorlint // the handler itself, not something that it called
			err = fmt.Errorf("the handler %w", err)
		}
		r.err, r.stack = err, guard.StackOf(err)
		then(r)
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
		value = v // also by a handler that the middleware did not wait for: then call gives an error
		return err
	})
	if err := call(ctx); err != nil {
		return nil, err
	}
	return value, nil
}

// read takes from what a handler returned all that counts. It returns the error of the attempt.
func (r *returned) read(id string, value any, err error) error {
	if err == nil {
		if r.result, err = encode(value); err == nil {
			err = checkDepth(r.result)
		}
		if err != nil {
			err = Permanent(fmt.Errorf("encode result: %w", err))
		}
	}
	if d, ok := errors.AsType[*directive](err); ok {
		r.directive = d
		if d.what == "continue" && d.save {
			if r.checkpoint, err = encode(d.checkpoint); err != nil {
				r.directive = nil
				return fmt.Errorf("checkpoint of job %s: %w", id, err)
			}
			return d
		}
	}
	return err
}
