package functions

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// Claimed is the result of Claim for one message: an attempt to run, or the outcome if there is
// nothing to run.
type Claimed struct {
	Attempt *Attempt // nil: see Outcome
	Outcome Outcome
}

// Execute is the second of the three functions: it claims the job that a message names, runs its
// handler, keeps the lease meanwhile, and writes the result. The context's deadline is the
// platform's: a handler is told in time to stop before it.
//
// If the process dies inside, the lease runs out and sweep ends the attempt as lost.
func (rt *Runtime) Execute(ctx context.Context, msg pubsubq.Message) Outcome {
	c := rt.Claim(ctx, msg)[0]
	if c.Attempt == nil {
		return c.Outcome
	}
	return c.Attempt.Execute(ctx)
}

// Claim takes the leases of the jobs that the messages name, with one list of reads and one of
// writes. It does not claim jobs of kinds without a handler here. The results are in the order of
// the messages.
func (rt *Runtime) Claim(ctx context.Context, msgs ...pubsubq.Message) []Claimed {
	claimed := make([]Claimed, len(msgs))
	if err := rt.checkOpen(); err != nil {
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
		if claimed[i] = rt.attemptOf(ctx, m, results[i], claims[i], now); claimed[i].Attempt == nil {
			rt.suspects.leave(claims[i].Token)
		}
	}
	return claimed
}

// overtaken is how long a message may arrive before its record can be read.
const overtaken = 100 * time.Millisecond

// claimLate claims the jobs that a first read did not find, because their messages may have
// overtaken the records.
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

// attemptOf returns the attempt of a claim that succeeded, or the outcome of its message.
func (rt *Runtime) attemptOf(ctx context.Context, m pubsubq.Message, r store.Result, c store.Claim, now time.Time) Claimed {
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
		rt.watch.touch(r.Job.ID) // sweep runs its outbox: jobs that were claimed with it must not wait for its hooks
		rt.countEnd(ctx, r.Job)
		return Claimed{Outcome: Outcome{Verdict: Ack, JobID: r.Job.ID}}
	}
	k, err := rt.reg.kind(r.Job.Kind)
	if err != nil {
		return Claimed{Outcome: outcomeOf(err)}
	}
	rt.stats.Claimed.Add(1)
	rt.tel.CountClaim(ctx, r.Job)
	a := rt.newAttempt(k, r.Job, c.Token, rt.tel.StartRun(ctx, r.Job, m.Trace, c.Now), now)
	rt.mu.Lock()
	rt.running[r.Job.ID] = a
	rt.mu.Unlock()
	rt.watch.touch(r.Job.ID)
	return Claimed{Attempt: a}
}

// count counts messages that did nothing, and logs messages that this process could not handle.
func (rt *Runtime) count(ctx context.Context, out Outcome) {
	rt.unhandled.note(ctx, rt, out)
	switch out.Verdict {
	case Drop:
		rt.stats.Dropped.Add(1)
	case Retry:
		rt.stats.MessagesReturned.Add(1)
	}
}

// token makes the token of an attempt: 64 random bits.
func (rt *Runtime) token() string { return strconv.FormatUint(rt.cfg.Rand(), 36) }
