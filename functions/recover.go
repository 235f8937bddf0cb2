package functions

import (
	"context"
	"errors"
	"slices"

	"github.com/piecework/piecework/store"
)

// Recover sends the messages of all jobs that wait for one, and ends the leases that ran out,
// without waiting for them to be due. It is for a process that starts with an empty in-process
// queue: whatever that queue held before is gone. It costs a read for each live job that is due
// within the longest grace. It returns an error if the store does not answer, or if ctx ends before
// all were looked at.
func (rt *Runtime) Recover(ctx context.Context) (SweepResult, error) {
	return rt.recover(ctx, func(store.Job) bool { return true })
}

// RecoverReady is Recover for running jobs and for those whose time has come. It is for a process whose
// queue outlives it: the messages that it had received and not handled when it died are lost, and
// those that are still delayed are not.
func (rt *Runtime) RecoverReady(ctx context.Context) (SweepResult, error) {
	now := rt.now()
	return rt.recover(ctx, func(j store.Job) bool { return j.State == store.Running || j.At <= now })
}

// RecoverRunning is Recover for running jobs alone. It is for a process that has called Recover,
// when the leases that were alive then must have run out.
func (rt *Runtime) RecoverRunning(ctx context.Context) (SweepResult, error) {
	return rt.recover(ctx, func(j store.Job) bool { return j.State == store.Running })
}

// recover recalls the wanted ones of all live jobs that are due within the longest grace.
func (rt *Runtime) recover(ctx context.Context, wanted func(store.Job) bool) (SweepResult, error) {
	s, table := rt.newSweep(SweepRequest{}), slices.Clone(nouns)
	table[0].step = func(s *sweep, ctx context.Context, ids []string) []store.Job {
		batch := s.rt.store.GetMany(ctx, ids)
		return s.recall(ctx, slices.DeleteFunc(batch, func(r store.Result) bool { return r.Err != nil || !wanted(r.Job) }))
	}
	err := s.pass(ctx, 0, store.DueShards, s.now.Add(rt.Timing().MaxGrace+rt.Timing().Grace), table)
	if s.result.More {
		err = errors.Join(err, context.Cause(ctx))
	}
	return s.result, err
}

// recall returns the jobs of a batch whose message the queue has lost, and processes the jobs that
// are due.
func (s *sweep) recall(ctx context.Context, batch []store.Result) []store.Job {
	var due []store.Result
	var send []store.Job
	for _, r := range batch {
		if r.Job.State == store.Running && r.Job.Lease != nil {
			if end := r.Job.Lease.Until.Add(s.rt.Timing().Skew); end < s.now && r.Job.Due > s.now {
				r.Job.Due = end // the lease has run out, whatever sweep was told
				due = append(due, r)
				continue
			}
		}
		if r.Job.Due <= s.now {
			due = append(due, r)
		} else if _, ok := s.rt.hintFor(r.Job); ok {
			send = append(send, r.Job)
			s.add(func(res *SweepResult) { res.Resent++ })
		}
	}
	return append(send, s.advance(ctx, due)...)
}
