package functions

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/store"
)

// finish writes how the attempt ended, and does what follows from it.
func (a *Attempt) finish(ctx context.Context, h *handled) (out Outcome) {
	ctx = a.withSpan(context.WithoutCancel(ctx)) // the platform's deadline leaves Margin for this
	a.mu.Lock()
	abandoned := a.phase == phaseAbandoned
	if a.work.cancelSave != nil {
		a.work.cancelSave(errOver)
	}
	a.mu.Unlock()
	err := guard.Inline(func() error { out = a.writeEnd(ctx, h); return nil })
	if err != nil { // a panic, of a driver perhaps, must not end the process
		a.close()
		out = a.unfinished(ctx, err)
	}
	out.Abandoned = abandoned
	return out
}

// writeEnd is finish without its guard.
func (a *Attempt) writeEnd(ctx context.Context, h *handled) Outcome {
	rt := a.rt
	f, err := a.judge(ctx, h)
	var j store.Job
	if err == nil {
		write := func(have store.Job) (store.Job, error) { return rt.store.Finish(ctx, have, f) }
		j, err = a.insist(ctx, write)
		if errors.Is(err, store.ErrTooLarge) {
			f = a.failure(ctx, &handled{err: err, directive: permanent})
			j, err = a.insist(ctx, write)
		}
	}
	a.close()
	if err != nil {
		return a.unfinished(ctx, err)
	}
	rt.countEnd(ctx, j)
	rt.tel.CountAttempt(ctx, j, f, rt.cfg.Now().Sub(a.start))
	defer rt.tel.EndRun(a.span, j, f, h.err) // after what follows from it
	rt.logEnd(ctx, j, f)
	if !j.State.Final() {
		a.work.tidy(ctx, j)
		if f.Dirty {
			a.work.removeUnlisted(ctx, j)
		}
	}
	ctx, cancel := a.untilDeadline(ctx)
	defer cancel()
	rt.followUp(ctx, j)
	return Outcome{Verdict: Ack, JobID: j.ID}
}

// insist writes to the job for as long as the attempt holds it. The store's patience ends with the
// lease as it was when the write was asked for. If a heartbeat has extended the lease since, insist
// tries again.
func (a *Attempt) insist(ctx context.Context, write func(have store.Job) (store.Job, error)) (store.Job, error) {
	for {
		have, end := a.held()
		j, err := write(have)
		if !errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
			return j, err
		}
		if _, now := a.held(); !now.After(end) {
			return j, err
		}
	}
}

// close ends the attempt in this process, once.
func (a *Attempt) close() {
	a.mu.Lock()
	first := a.advance(eventRecord)
	if first {
		if a.lease.stopBeat != nil {
			a.lease.stopBeat() // a heartbeat must not go on asking a store that is away, or closed
		}
		a.cancel(context.Canceled)
	}
	a.mu.Unlock()
	if !first {
		return
	}
	a.rt.mu.Lock()
	if id := a.ID(); a.rt.running[id] == a {
		delete(a.rt.running, id)
	}
	a.rt.mu.Unlock()
	a.rt.suspects.leave(a.token)
	a.rt.tel.CountRunning(context.Background(), a.seen(), -1)
}

// unfinished returns the outcome of an attempt whose end could not be written: it lost its lease,
// or the store is away.
func (a *Attempt) unfinished(ctx context.Context, err error) Outcome {
	j := a.seen()
	defer a.rt.tel.End(a.span, err)
	a.work.abort()
	if isLost(err) {
		a.rt.stats.LeasesLost.Add(1)
		a.rt.tel.CountLostLease(ctx, j)
		a.rt.log.LogAttrs(ctx, levelWarn, "lease lost; the attempt's result is thrown away", append(identity(j), errAttr(err))...)
		a.work.withdraw(ctx)
		return Outcome{Verdict: Drop, JobID: j.ID, Err: err}
	}
	a.rt.log.LogAttrs(ctx, levelError, "the attempt's end could not be written; sweep will end it as lost",
		append(identity(j), troubleAttrs(err)...)...)
	return Outcome{Verdict: Retry, After: a.rt.Timing().Lease, JobID: j.ID, Err: err}
}

// judge turns what the handler returned, and why it was told to stop if it was, into the attempt's
// end.
func (a *Attempt) judge(ctx context.Context, h *handled) (store.Finish, error) {
	if a.leaseGone() { // a result would be stored for nothing
		a.work.abort()
		return store.Finish{}, ErrLeaseLost
	}
	if h.err == nil {
		return a.success(ctx, h.result), nil
	}
	if h.directive != nil && h.directive.what == "continue" {
		f, err := a.goOn(ctx, h)
		if err == nil {
			return f, nil
		}
		h = &handled{err: err}
	}
	a.work.abort()
	if isLost(a.Stopped()) {
		return store.Finish{}, ErrLeaseLost
	}
	return a.failure(ctx, h), nil
}

// base returns what every end of this attempt carries.
func (a *Attempt) base() store.Finish {
	a.mu.Lock()
	defer a.mu.Unlock()
	return store.Finish{
		Token: a.token, Now: a.rt.now(), Progress: a.lease.lastProgress(), Hooks: a.rt.reg.hooked(),
	}
}

// success publishes the outputs and stores the result. What goes wrong with that is the attempt's
// error.
func (a *Attempt) success(ctx context.Context, result []byte) store.Finish {
	fail := func(err error) store.Finish {
		a.work.abort()
		return a.failure(ctx, &handled{err: err})
	}
	outputs, leftover, err := a.work.publish(ctx)
	if err != nil {
		return fail(err)
	}
	f := a.base()
	if !bytes.Equal(result, []byte("null")) && !bytes.Equal(result, []byte("{}")) {
		if f.Result, err = a.work.pack(ctx, "result", result); err != nil {
			return fail(fmt.Errorf("store result: %w", err))
		}
	}
	if err := a.work.listOutputs(ctx, &f, outputs); err != nil {
		return fail(fmt.Errorf("store list of outputs: %w", err))
	}
	f.Outcome, f.Dirty = store.OutcomeSuccess, leftover || a.work.isStray()
	return f
}

// goOn ends the invocation of a handler that returned Continue.
func (a *Attempt) goOn(ctx context.Context, h *handled) (store.Finish, error) {
	d := h.directive
	var s snapshot
	var payload *store.Payload
	if d.save {
		done, err := a.work.takeTurn(ctx)
		if err != nil {
			return store.Finish{}, err
		}
		defer done()
		if s, err = a.work.snapshot(ctx, h.checkpoint); err != nil {
			return store.Finish{}, err
		}
		payload = &s.payload
	} else {
		a.work.abort() // what was written since the last checkpoint will be written again
	}
	f := a.base()
	f.Outcome, f.Delay, f.Checkpoint, f.Open, f.OpenIn = store.OutcomeContinued, d.delay, payload, s.open, s.in
	f.Dirty = a.work.isDirty() && !d.save || a.work.isStray()
	return f, nil
}

// failure is the end of an attempt whose handler returned an error. If the handler was told to
// stop, the cause of that counts and not the error: libraries report cancellation in many ways.
func (a *Attempt) failure(ctx context.Context, h *handled) store.Finish {
	f := a.base()
	f.Dirty, f.Error = a.work.isDirty(), h.err.Error()
	j, d := a.seen(), h.directive
	switch cause := a.Stopped(); {
	case h.stack != "":
		f.Outcome, f.Stack = store.OutcomePanic, h.stack
	case d != nil && d.what == "snooze":
		f.Outcome, f.Delay, f.Error = store.OutcomeSnoozed, d.delay, ""
		return f
	case d != nil && d.what == "skip":
		f.Outcome, f.Reason, f.Error = store.OutcomeSkipped, d.reason, ""
		return f
	case errors.Is(cause, ErrCancelRequested):
		f.Outcome = store.OutcomeCancelled
		return f
	case errors.Is(cause, ErrShutdown):
		f.Outcome = store.OutcomeHandBack
		return f
	case errors.Is(cause, ErrPlatformDeadline) && a.work.hasAdvanced():
		f.Outcome, f.Error = store.OutcomeContinued, ""
		return f
	case cause != nil && !isLost(cause):
		f.Outcome, f.Permanent = store.OutcomeTimeout, errors.Is(cause, ErrJobDeadline)
		f.Error = cause.Error() + ": " + f.Error
	default:
		f.Outcome = store.OutcomeError
	}
	switch {
	case d != nil && d.what == "permanent":
		f.Permanent = true
	case d != nil && d.what == "retry":
		f.Delay = d.delay
		return f
	}
	f.Delay = a.rt.retryDelay(ctx, j, f.Error)
	return f
}

// logEnd writes one line about the end of an attempt: an error or a warning if it did not simply
// succeed.
func (rt *Runtime) logEnd(ctx context.Context, j store.Job, f store.Finish) {
	attrs := identity(j)
	switch j.State {
	case store.Failed:
		rt.log.LogAttrs(ctx, levelError, "job failed", append(attrs, errAttr(errors.New(j.Error)))...)
	case store.Retrying:
		rt.log.LogAttrs(ctx, levelWarn, "attempt failed; another follows",
			append(attrs, errAttr(errors.New(f.Error)), timeAttr("at", j.At))...)
	default:
		rt.log.LogAttrs(ctx, levelDebug, "attempt ended", append(attrs, stateAttr(j.State))...)
	}
}
