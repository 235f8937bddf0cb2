package functions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// Claimed is what Claim gives for one message: an attempt to run, or the outcome if there is nothing to run.
type Claimed struct {
	Attempt *Attempt // nil: see Outcome
	Outcome Outcome
}

// Execute is the second of the three functions: it claims the job that a message names, runs its handler, keeps the
// lease meanwhile, and writes what came of it. The context's deadline is the platform's: what cannot finish before it
// is told so in time.
//
// If the process dies inside, the lease runs out and sweep ends the attempt as lost.
func (rt *Runtime) Execute(ctx context.Context, msg pubsubq.Message) Outcome {
	c := rt.Claim(ctx, msg)[0]
	if c.Attempt == nil {
		return c.Outcome
	}
	return c.Attempt.Execute(ctx)
}

// Claim takes the leases of the jobs that the messages name, with one list of reads and one of writes. A job of a
// kind that has no handler here is left to others. The results are in the order of the messages.
func (rt *Runtime) Claim(ctx context.Context, msgs ...pubsubq.Message) []Claimed {
	claimed := make([]Claimed, len(msgs))
	if err := rt.open(); err != nil {
		for i := range claimed {
			claimed[i].Outcome = outcomeOf(err)
		}
		return claimed
	}
	now := rt.cfg.Now()
	ids, claims := make([]string, len(msgs)), make([]store.Claim, len(msgs))
	for i, m := range msgs {
		ids[i] = m.ID
		token := rt.token()
		claims[i] = store.Claim{Token: token, Worker: rt.cfg.Worker, Now: store.At(now), Runs: rt.reg.runs,
			Admits: func() bool { return rt.suspects.admit(token, rt.cfg.Now()) }}
	}
	results := rt.store.ClaimMany(ctx, ids, claims)
	rt.claimLate(ctx, ids, claims, results)
	for i, m := range msgs {
		if claimed[i] = rt.claimed(ctx, m, results[i], claims[i], now); claimed[i].Attempt == nil {
			rt.suspects.leave(claims[i].Token)
		}
	}
	return claimed
}

// overtaken is how long a message may be ahead of its record.
const overtaken = 100 * time.Millisecond

// claimLate claims those jobs that a first read did not find: their messages may have overtaken the records.
func (rt *Runtime) claimLate(ctx context.Context, ids []string, claims []store.Claim, results []store.Result) {
	var at []int
	var lateIDs []string
	var late []store.Claim
	for i, r := range results {
		if errors.Is(r.Err, store.ErrNotFound) {
			at, lateIDs, late = append(at, i), append(lateIDs, ids[i]), append(late, claims[i])
		}
	}
	if len(at) == 0 {
		return
	}
	if err := rt.store.Pause(ctx, overtaken); err != nil {
		for _, i := range at {
			results[i].Err = err
		}
		return
	}
	for n, r := range rt.store.ClaimMany(ctx, lateIDs, late) {
		results[at[n]] = r
	}
}

// claimed makes an attempt of a claim that won, or tells what becomes of the message that brought it.
func (rt *Runtime) claimed(ctx context.Context, m pubsubq.Message, r store.Result, c store.Claim, now time.Time) Claimed {
	if r.Err != nil {
		out := outcomeOf(r.Err)
		out.JobID = m.ID
		if errors.Is(r.Err, store.ErrSuspect) {
			out.After = rt.suspects.pause(rt.cfg.Now())
		}
		rt.count(ctx, out)
		if errors.Is(r.Err, store.ErrRefused) {
			rt.log.LogAttrs(ctx, levelError, "message dropped: the store cannot claim its job; sweep sends another when it is due", errAttr(r.Err))
		}
		return Claimed{Outcome: out}
	}
	if r.Job.State != store.Running { // its deadline had passed
		rt.watch.touch(r.Job.ID) // its outbox is left to sweep: jobs that were claimed with it must not wait for its hooks
		rt.ended(ctx, r.Job)
		return Claimed{Outcome: Outcome{Verdict: Ack, JobID: r.Job.ID}}
	}
	k, err := rt.reg.kind(r.Job.Kind)
	if err != nil {
		return Claimed{Outcome: outcomeOf(err)}
	}
	rt.stats.Claimed.Add(1)
	rt.tel.claimed(ctx, r.Job)
	a := rt.newAttempt(k, r.Job, c.Token, now)
	a.span = rt.runSpan(ctx, r.Job, m.Trace, c.Now)
	rt.mu.Lock()
	rt.running[r.Job.ID] = a
	rt.mu.Unlock()
	rt.watch.touch(r.Job.ID)
	return Claimed{Attempt: a}
}

// count keeps the figures of messages that did nothing, and tells the log of those that this process could not handle.
func (rt *Runtime) count(ctx context.Context, out Outcome) {
	rt.unhandled.note(ctx, rt, out)
	switch out.Verdict {
	case Drop:
		rt.stats.Dropped.Add(1)
	case Retry:
		rt.stats.Retries.Add(1)
	}
}

// finish writes how the attempt ended, and does what follows from it.
func (a *Attempt) finish(ctx context.Context, r returned) (out Outcome) {
	ctx = a.traced(context.WithoutCancel(ctx)) // the platform's deadline leaves Margin for this
	a.mu.Lock()
	a.over = true // of Run; that of Start was before
	if a.saved.cancel != nil {
		a.saved.cancel(errOver)
	}
	a.mu.Unlock()
	err := guard.Inline(func() error { out = a.conclusion(ctx, r); return nil })
	if err != nil { // a panic of a driver, perhaps: it must not take the process with it
		a.close()
		out = a.unfinished(ctx, err)
	}
	return out
}

// conclusion is finish without its guard.
func (a *Attempt) conclusion(ctx context.Context, r returned) Outcome {
	rt := a.rt
	f, err := a.judge(ctx, r)
	var j store.Job
	if err == nil {
		write := func(have store.Job) (store.Job, error) { return rt.store.Finish(ctx, have, f) }
		j, err = a.insist(ctx, write)
		if errors.Is(err, store.ErrTooLarge) {
			f = a.failure(ctx, returned{err: err, directive: permanent})
			j, err = a.insist(ctx, write)
		}
	}
	a.close()
	if err != nil {
		return a.unfinished(ctx, err)
	}
	rt.ended(ctx, j)
	rt.tel.ran(ctx, j, f, rt.cfg.Now().Sub(a.start))
	defer a.ranSpan(j, f, r.err) // after what follows from it
	rt.logEnd(ctx, j, f)
	if !j.State.Final() {
		a.tidy(ctx, j)
	}
	if f.Dirty && !j.State.Final() {
		a.sweepUp(ctx, j)
	}
	ctx, cancel := a.untilDeadline(ctx)
	defer cancel()
	rt.followUp(ctx, j)
	return Outcome{Verdict: Ack, JobID: j.ID}
}

// close ends the attempt in this process.
func (a *Attempt) close() {
	if !a.end() {
		return
	}
	a.rt.mu.Lock()
	if id := a.job.ID; a.rt.running[id] == a {
		delete(a.rt.running, id)
	}
	a.rt.mu.Unlock()
	a.rt.suspects.leave(a.token)
	a.rt.tel.runs(context.Background(), a.seen(), -1)
}

func (a *Attempt) soiled() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dirty
}

// hasStrayed reports whether there may be files that no end of the attempt lists.
func (a *Attempt) hasStrayed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.astray
}

// judge turns what the handler returned, and why its context was cancelled if it was, into the attempt's end.
func (a *Attempt) judge(ctx context.Context, r returned) (store.Finish, error) {
	if a.isGone() { // a result would be stored for nothing
		a.abort()
		return store.Finish{}, ErrLeaseLost
	}
	if r.err == nil {
		return a.success(ctx, r.result)
	}
	if r.directive != nil && r.directive.what == "continue" {
		f, err := a.goOn(ctx, r)
		if err == nil {
			return f, nil
		}
		r = returned{err: err}
	}
	a.abort()
	if errors.Is(a.stopped(), ErrLeaseLost) {
		return store.Finish{}, ErrLeaseLost
	}
	return a.failure(ctx, r), nil
}

// base is what every end of this attempt carries.
func (a *Attempt) base() store.Finish {
	a.mu.Lock()
	defer a.mu.Unlock()
	return store.Finish{
		Token: a.token, Now: a.rt.now(), Progress: a.takeProgress(), Hooks: a.rt.reg.hooked(),
	}
}

// success brings a result and the outputs into their final form. What goes wrong with that is the attempt's error.
func (a *Attempt) success(ctx context.Context, result []byte) (store.Finish, error) {
	fail := func(err error) (store.Finish, error) {
		a.abort()
		return a.failure(ctx, returned{err: err}), nil
	}
	outputs, leftover, err := a.publish(ctx)
	if err != nil {
		return fail(err)
	}
	f := a.base()
	if !bytes.Equal(result, []byte("null")) && !bytes.Equal(result, []byte("{}")) {
		if f.Result, err = a.pack(ctx, "result", result); err != nil {
			return fail(fmt.Errorf("store result: %w", err))
		}
	}
	if err := a.fileOutputs(ctx, &f, outputs); err != nil {
		return fail(fmt.Errorf("store list of outputs: %w", err))
	}
	f.Outcome, f.Dirty = store.OutcomeSuccess, leftover || a.hasStrayed()
	return f, nil
}

// goOn ends the invocation of a handler that returned Continue.
func (a *Attempt) goOn(ctx context.Context, r returned) (store.Finish, error) {
	d := r.directive
	var s snapshot
	var payload *store.Payload
	if d.save {
		done, err := a.takeTurn(ctx)
		if err != nil {
			return store.Finish{}, err
		}
		defer done()
		if s, err = a.snapshot(ctx, r.checkpoint); err != nil {
			return store.Finish{}, err
		}
		payload = &s.payload
	} else {
		a.abort() // what was written since the last checkpoint will be written again
	}
	f := a.base()
	f.Outcome, f.Delay, f.Checkpoint, f.Open, f.OpenIn = store.OutcomeContinued, d.delay, payload, s.open, s.in
	f.Dirty = a.soiled() && !d.save || a.hasStrayed()
	return f, nil
}

// failure is the end of an attempt whose handler returned an error. Once the context was cancelled, its cause counts
// and not the error: libraries report cancellation in many ways.
func (a *Attempt) failure(ctx context.Context, r returned) store.Finish {
	f := a.base()
	f.Dirty, f.Error = a.soiled(), r.err.Error()
	j, d := a.seen(), r.directive
	switch cause := a.stopped(); {
	case r.stack != "":
		f.Outcome, f.Stack = store.OutcomePanic, r.stack
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
	case errors.Is(cause, ErrPlatformDeadline) && a.hasAdvanced():
		f.Outcome, f.Error = store.OutcomeContinued, ""
		return f
	case cause != nil && !errors.Is(cause, ErrLeaseLost):
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

// hasAdvanced reports whether this invocation saved a checkpoint.
func (a *Attempt) hasAdvanced() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.advanced
}

// token makes the token of an attempt: 64 random bits.
func (rt *Runtime) token() string { return strconv.FormatUint(rt.cfg.Rand(), 36) }

// logEnd writes one line for an attempt that did not simply succeed.
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
