package functions

import (
	"context"
	"errors"
	"time"

	"github.com/piecework/piecework/store"
)

// limits say when an attempt must stop, and why. The zero value has no limits. The attempt's lock
// guards them.
//
// All times are as Config.Now gives them. Their monotonic readings keep a step of the wall clock
// from moving limits, heartbeats and polls. Times in records are wall-clock times.
type limits struct {
	at       time.Time // when the handler is told to stop; zero: never
	why      error     // the cause with which it is told then
	platform time.Time // the platform's deadline, less the margin; zero: none

	cause     error         // why the handler was told to stop; nil: it was not told
	grace     time.Duration // how long it may go on after that
	abandonAt time.Time     // when it is abandoned; zero: never, or by Run
}

// set finds the earliest limit of an attempt that was claimed at start. The deadline of ctx is the
// platform's.
func (l *limits) set(ctx context.Context, cfg *Config, j store.Job, start time.Time) {
	now := cfg.Now()
	add := func(at time.Time, why error) {
		if l.at.IsZero() || at.Before(l.at) {
			l.at, l.why = at, why
		}
	}
	if t := j.Policy.Timeout; t > 0 {
		add(start.Add(millis(t)), ErrAttemptTimeout)
	}
	if d := j.Deadline; d != 0 {
		add(now.Add(d.Sub(store.At(now))), ErrJobDeadline)
	}
	if d, ok := ctx.Deadline(); ok {
		l.platform = now.Add(d.Sub(now) - cfg.Margin)
		add(l.platform, ErrPlatformDeadline)
	}
}

// setGrace sets when a handler that was just told to stop is abandoned: after StopGrace, but early
// enough to leave half of the margin for writing the attempt's end before the platform ends the
// process.
func (l *limits) setGrace(cfg *Config) {
	now := cfg.Now()
	l.grace = cfg.StopGrace
	if !l.platform.IsZero() {
		l.grace = min(l.grace, max(l.platform.Add(cfg.Margin/2).Sub(now), cfg.Margin/10))
	}
	l.abandonAt = now.Add(l.grace)
}

// deadlineContext shows a deadline that the attempt's Beat enforces.
type deadlineContext struct {
	context.Context
	at time.Time
}

// Deadline returns when the context will be cancelled.
func (c deadlineContext) Deadline() (time.Time, bool) { return c.at, true }

// shutdownCause returns the cause with which an attempt stops when the adapter's context has ended.
func shutdownCause(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrPlatformDeadline
	}
	return ErrShutdown
}

// isLost reports whether a cause says that the lease is lost.
func isLost(cause error) bool { return errors.Is(cause, ErrLeaseLost) }

// deadline is when the handler will be told to stop; zero: never.
func (a *Attempt) deadline() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limits.at
}

// deadlineNear: see Job.DeadlineNear.
func (a *Attempt) deadlineNear() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limits.cause != nil || a.rt.draining.Load() ||
		!a.limits.platform.IsZero() && !a.rt.cfg.Now().Add(a.rt.cfg.Margin).Before(a.limits.platform)
}

// untilDeadline bounds what follows the end of a started attempt by the platform's deadline. Sweep
// does what is not done by then.
func (a *Attempt) untilDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done == nil || a.limits.platform.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, a.limits.platform.Add(a.rt.cfg.Margin).Sub(a.rt.cfg.Now()))
}
