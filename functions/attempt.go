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
	start store.Time
	span  trace.Span      // nil: nobody takes spans
	ctx   context.Context // of Start
	done  func(Outcome)   // of Start
	saved saved

	mu       sync.Mutex
	job      store.Job // as this attempt last saw or wrote it
	cancel   context.CancelCauseFunc
	cause    error // why it was told to stop: the first reason, or ErrLeaseLost, which leaves nothing to do for another
	gone     bool  // the record has shown that the lease is lost: nothing that the attempt writes can win
	at       store.Time
	why      error // the cause with which the attempt is cancelled at that time
	platform store.Time
	nextBeat store.Time
	nextPoll store.Time
	nextSave store.Time // of progress
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
	leaveAt  store.Time              // when a handler that was told to stop is left behind; only after Start
	patience time.Duration           // from when it was told until then
	over     bool                    // the handler has returned or was left behind
	left     bool                    // it was left behind
	files    context.Context         // of what the handler writes; nil: it has not written yet
	cutOff   context.CancelCauseFunc // ends files
	ended    bool                    // and that is written
}

func (rt *Runtime) newAttempt(k *kind, j store.Job, token string, now store.Time) *Attempt {
	return &Attempt{
		rt: rt, kind: k, token: token, job: j, start: now, saved: newSaved(j), saved0: j.Saved, byName: map[string]*Output{},
		nextBeat: now.Add(rt.Timing().Lease / 3), nextPoll: now.Add(rt.cfg.CancelPoll), nextSave: now,
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

// limit is when the attempt is cancelled, 0 for never, and with which cause.
func (a *Attempt) limit() (store.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at, a.why
}

// begin gives the attempt its context and its limits.
func (a *Attempt) begin(ctx context.Context) (context.Context, func()) {
	inner, cancel := context.WithCancelCause(a.traced(context.WithoutCancel(ctx)))
	a.mu.Lock()
	a.cancel = cancel
	lim := func(at store.Time, why error) {
		if at != 0 && (a.at == 0 || at < a.at) {
			a.at, a.why = at, why
		}
	}
	if t := a.job.Policy.Timeout; t > 0 {
		lim(a.start+store.Time(t), ErrAttemptTimeout)
	}
	lim(a.job.Deadline, ErrJobDeadline)
	if d, ok := ctx.Deadline(); ok {
		a.platform = store.At(d).Add(-a.rt.cfg.Margin)
		lim(a.platform, ErrPlatformDeadline)
	}
	if a.cause != nil {
		cancel(a.cause)
	}
	at := a.at
	a.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { a.stop(shutdownCause(ctx)) })
	if at == 0 {
		return inner, func() { stop() }
	}
	return deadlineContext{inner, at.Time()}, func() { stop() }
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
	a.leaveAt = a.rt.now().Add(a.patience)
}

// grace is how long a handler may go on after it was told to stop: StopGrace, but no longer than leaves half of the
// margin to write the attempt's end before the platform ends the process.
func (a *Attempt) grace() time.Duration {
	d, margin := a.rt.cfg.StopGrace, a.rt.cfg.Margin
	if a.platform != 0 {
		d = min(d, max(a.platform.Add(margin/2).Sub(a.rt.now()), margin/10))
	}
	return d
}

// untilDeadline bounds what follows from a started attempt's end by the platform's deadline. What is not done by then is
// left to sweep.
func (a *Attempt) untilDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done == nil || a.platform == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, a.platform.Add(a.rt.cfg.Margin).Sub(a.rt.now()))
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
		a.platform != 0 && a.rt.now().Add(a.rt.cfg.Margin) >= a.platform
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

// kept takes note of a write that extended the lease.
func (a *Attempt) kept(j store.Job) {
	now := a.rt.now()
	a.mu.Lock()
	a.job = j
	a.nextBeat = now.Add(a.rt.Timing().Lease / 3)
	a.nextPoll = now.Add(a.rt.cfg.CancelPoll)
	a.nextSave = now.Add(a.rt.cfg.ProgressEvery)
	a.mu.Unlock()
	a.look(j)
}

// look reacts to what others wrote into the record.
func (a *Attempt) look(j store.Job) {
	switch {
	case j.State != store.Running || j.Lease == nil || j.Lease.Token != a.token:
		a.lose()
	case j.Cancel != 0:
		a.stop(ErrCancelRequested)
	}
}

// missed reacts to a write that did not succeed: the lease is lost, or it ran out while the store did not answer.
func (a *Attempt) missed(err error) {
	until := store.Time(0)
	if j := a.seen(); j.Lease != nil {
		until = j.Lease.Until
	}
	switch {
	case errors.Is(err, store.ErrLeaseLost) || errors.Is(err, store.ErrMove) || errors.Is(err, store.ErrNotFound):
		a.lose()
	case a.rt.now() >= until:
		a.stop(ErrLeaseLost) // until sweep has ended the attempt, it may still win
	}
}

// lose stops an attempt whose job is another's, or nobody's, by the record.
func (a *Attempt) lose() {
	a.mu.Lock()
	a.gone = true
	a.mu.Unlock()
	a.stop(ErrLeaseLost)
}

// isGone reports whether the record has shown that the lease is lost.
func (a *Attempt) isGone() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone
}

// Beat does what is due now: it cancels the attempt whose time is up, extends the lease, writes progress, and looks
// whether somebody cancelled the job. It returns when it wants to be called again.
func (a *Attempt) Beat(ctx context.Context) time.Time {
	now := a.rt.now()
	a.mu.Lock()
	j, at, why := a.job, a.at, a.why
	beat := now >= a.nextBeat || a.progress != nil && now >= a.nextSave
	poll := now >= a.nextPoll
	lost := errors.Is(a.cause, ErrLeaseLost)
	a.mu.Unlock()
	if at != 0 && now >= at {
		a.stop(why)
	}
	switch {
	case lost: // nothing is worth keeping
	case beat:
		a.mu.Lock()
		progress := a.takeProgress()
		a.mu.Unlock()
		kept, err := a.rt.store.Keep(ctx, j, store.Keep{Token: a.token, Now: now, Progress: progress})
		if err != nil {
			a.giveBack(progress)
			if !a.concluded() { // else it lost the race against the attempt's end, or was ended by it
				a.missed(err)
				a.rt.log.LogAttrs(ctx, levelWarn, "heartbeat failed", append(identity(j), errAttr(err))...)
			}
			a.later()
		} else {
			a.kept(kept)
		}
	case poll:
		if fresh, err := a.rt.store.Get(ctx, j.ID); err == nil {
			a.mu.Lock()
			a.nextPoll = now.Add(a.rt.cfg.CancelPoll)
			a.mu.Unlock()
			a.look(fresh)
		} else {
			a.missed(err)
			a.later()
		}
	}
	return a.next()
}

// concluded reports whether the handler is done with.
func (a *Attempt) concluded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over || a.ended
}

// later puts off the next tries a little after the store did not answer.
func (a *Attempt) later() {
	soon := a.rt.now().Add(a.rt.Timing().Lease / 10)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nextBeat, a.nextPoll, a.nextSave = max(a.nextBeat, soon), max(a.nextPoll, soon), max(a.nextSave, soon)
}

// next is when Beat has something to do.
func (a *Attempt) next() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.nextWrite()
	if a.at != 0 && a.cause == nil && !a.ended {
		t = min(t, a.at)
	}
	if t == never {
		return a.rt.cfg.Now().Add(time.Hour)
	}
	return t.Time()
}

// nextWrite is when Beat has something to do with the store: never once the lease is lost, when nothing is worth
// keeping. The caller holds mu.
func (a *Attempt) nextWrite() store.Time {
	if a.ended || errors.Is(a.cause, ErrLeaseLost) {
		return never
	}
	t := min(a.nextBeat, a.nextPoll)
	if a.progress != nil {
		t = min(t, a.nextSave)
	}
	return t
}
