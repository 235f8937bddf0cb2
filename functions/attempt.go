package functions

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/piecework/piecework/store"
)

// Attempt is a job that this process holds under a lease. Whoever claimed it calls Start or Execute, once, which
// also keep the lease; or Run, and meanwhile Beat whenever it says, to have time in its own hands.
type Attempt struct {
	rt    *Runtime
	kind  *kind
	token string
	start time.Time
	span  trace.Span      // nil: nobody takes spans
	ctx   context.Context // of Start
	done  func(Outcome)   // of Start
	saved saved

	mu     sync.Mutex
	job    store.Job // as this attempt last saw or wrote it
	cancel context.CancelCauseFunc
	cause  error // why it was told to stop: the first reason, or ErrLeaseLost, which leaves nothing to do for another
	gone   bool  // the record has shown that the lease is lost: nothing that the attempt writes can win
	// Times of the attempt are as Config.Now gives them: their monotonic readings keep a step of the wall clock from moving
	// its limits, heartbeats and polls. Records have wall-clock times.
	at       time.Time // when the attempt is cancelled; zero: never
	why      error     // the cause with which it is cancelled then
	platform time.Time // the platform's deadline, less the margin; zero: none
	leaseEnd time.Time // when the lease runs out, unless a write extends it
	nextBeat time.Time
	nextPoll time.Time
	nextSave time.Time // of progress
	progress *store.Progress
	saved0   int  // checkpoints saved in the job when the attempt started
	saves    int  // checkpoints that it has asked for, after those: the numbers of all are different
	advanced bool // it has saved one
	loaded   bool
	dirty    bool // it may leave files that the record does not list
	astray   bool // such are there, whatever becomes of its outputs
	outputs  []*Output
	byName   map[string]*Output
	serial   int                     // blobs of its own that it has asked for, to name them apart
	beating  bool                    // a Beat is under way
	stopBeat func()                  // ends it
	leaveAt  time.Time               // when a handler that was told to stop is left behind; only after Start
	patience time.Duration           // from when it was told until then
	over     bool                    // the handler has returned or was left behind
	left     bool                    // it was left behind
	returned bool                    // it has returned, in time or not
	files    context.Context         // of what the handler writes; nil: it has not written yet
	cutOff   context.CancelCauseFunc // ends files
	ended    bool                    // and that is written
}

func (rt *Runtime) newAttempt(k *kind, j store.Job, token string, now time.Time) *Attempt {
	return &Attempt{
		rt: rt, kind: k, token: token, job: j, start: now, saved: newSaved(j), saved0: j.Saved, leaseEnd: now.Add(rt.Timing().Lease),
		byName:   map[string]*Output{},
		nextBeat: now.Add(rt.leasePart(3)), nextPoll: now.Add(rt.cfg.CancelPoll), nextSave: now,
	}
}

// ID returns the job's id.
func (a *Attempt) ID() string { return a.seen().ID }

// seen is the job as the attempt last saw it.
func (a *Attempt) seen() store.Job {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.job
}

// held is the job as the attempt last saw it, and when its lease runs out.
func (a *Attempt) held() (store.Job, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.job, a.leaseEnd
}

// limit is when the attempt is cancelled, zero for never, and with which cause.
func (a *Attempt) limit() (time.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at, a.why
}

// begin gives the attempt its context and its limits.
func (a *Attempt) begin(ctx context.Context) (context.Context, func()) {
	inner, cancel := context.WithCancelCause(a.traced(context.WithoutCancel(ctx)))
	a.mu.Lock()
	a.cancel = cancel
	now := a.rt.cfg.Now()
	lim := func(at time.Time, why error) {
		if a.at.IsZero() || at.Before(a.at) {
			a.at, a.why = at, why
		}
	}
	if t := a.job.Policy.Timeout; t > 0 {
		lim(a.start.Add(time.Duration(t)*time.Millisecond), ErrAttemptTimeout)
	}
	if d := a.job.Deadline; d != 0 {
		lim(now.Add(d.Sub(store.At(now))), ErrJobDeadline)
	}
	if d, ok := ctx.Deadline(); ok {
		a.platform = now.Add(d.Sub(now) - a.rt.cfg.Margin)
		lim(a.platform, ErrPlatformDeadline)
	}
	if a.cause != nil {
		cancel(a.cause)
	}
	at := a.at
	a.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { a.stop(shutdownCause(ctx)) })
	if at.IsZero() {
		return inner, func() { stop() }
	}
	return deadlineContext{inner, at}, func() { stop() }
}

// deadlineContext shows a deadline that the attempt's Beat enforces.
type deadlineContext struct {
	context.Context
	at time.Time
}

// Deadline returns when the context will be cancelled.
func (c deadlineContext) Deadline() (time.Time, bool) { return c.at, true }

// shutdownCause tells why the adapter's context ended.
func shutdownCause(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrPlatformDeadline
	}
	return ErrShutdown
}

// stop cancels the attempt's context. The first cause counts, unless the lease is lost.
func (a *Attempt) stop(cause error) {
	a.mu.Lock()
	first := a.cause == nil
	if a.ended || !first && (errors.Is(a.cause, ErrLeaseLost) || !errors.Is(cause, ErrLeaseLost)) {
		a.mu.Unlock()
		return
	}
	a.cause = cause
	if a.cancel != nil {
		a.cancel(cause) // a context keeps its first cause
	}
	if first && a.done != nil {
		a.leave()
	}
	a.mu.Unlock()
	a.rt.pulse.soon(a)
}

// leave sets when a handler that was told to stop is left behind. The caller holds mu.
func (a *Attempt) leave() {
	a.patience = a.grace()
	a.leaveAt = a.rt.cfg.Now().Add(a.patience)
}

// grace is how long a handler may go on after it was told to stop: StopGrace, but no longer than leaves half of the
// margin to write the attempt's end before the platform ends the process.
func (a *Attempt) grace() time.Duration {
	d, margin := a.rt.cfg.StopGrace, a.rt.cfg.Margin
	if !a.platform.IsZero() {
		d = min(d, max(a.platform.Add(margin/2).Sub(a.rt.cfg.Now()), margin/10))
	}
	return d
}

// untilDeadline bounds what follows from a started attempt's end by the platform's deadline. What is not done by then is
// left to sweep.
func (a *Attempt) untilDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done == nil || a.platform.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, a.platform.Add(a.rt.cfg.Margin).Sub(a.rt.cfg.Now()))
}

// stopped is the cause with which the attempt was cancelled, or nil.
func (a *Attempt) stopped() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cause
}

// deadlineNear: see Job.DeadlineNear.
func (a *Attempt) deadlineNear() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cause != nil || a.rt.draining.Load() ||
		!a.platform.IsZero() && !a.rt.cfg.Now().Add(a.rt.cfg.Margin).Before(a.platform)
}

// end marks the attempt as over, once; it reports whether this call did.
func (a *Attempt) end() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return false
	}
	a.ended = true
	if a.stopBeat != nil {
		a.stopBeat() // a heartbeat of an attempt that is over must not go on asking a store that is away, or closed
	}
	if a.cancel != nil {
		a.cancel(context.Canceled)
	}
	return true
}

// report notes progress for the next write.
func (a *Attempt) report(done, total int64, message string) {
	p := &store.Progress{Done: done, Total: total, Message: clipText(message, 500), At: a.rt.now()}
	a.mu.Lock()
	first := a.progress == nil
	a.progress = p
	a.mu.Unlock()
	if first {
		a.rt.pulse.soon(a)
	}
}

// takeProgress takes the progress that waits to be written. The caller holds mu.
func (a *Attempt) takeProgress() *store.Progress {
	p := a.progress
	a.progress = nil
	return p
}

// giveBack keeps progress for the next write, because this one failed, unless the handler has reported anew.
func (a *Attempt) giveBack(p *store.Progress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.progress == nil {
		a.progress = p
	}
}
