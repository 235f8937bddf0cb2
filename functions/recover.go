package functions

import (
	"context"
	"errors"
	"slices"

	"github.com/piecework/piecework/store"
)

// Recover sends the messages of all jobs that wait for one, and ends the leases that ran out, without waiting for
// them to be due. It is for a process that starts with an empty in-process queue: whatever that queue held before
// is gone. It costs a read for each live job that is due within the longest grace. It returns an error if the store does
// not answer, or if ctx ends before all were looked at.
func (rt *Runtime) Recover(ctx context.Context) (SweepResult, error) {
	return rt.recover(ctx, (*sweep).recall)
}

// RecoverRunning is Recover for running jobs alone. It is for a process that has called Recover, when the leases that
// were alive then must have run out.
func (rt *Runtime) RecoverRunning(ctx context.Context) (SweepResult, error) {
	return rt.recover(ctx, func(s *sweep, ctx context.Context, batch []store.Result) []store.Job {
		return s.recall(ctx, slices.DeleteFunc(batch, func(r store.Result) bool { return r.Job.State != store.Running }))
	})
}

// recover looks at all live jobs that are due within the longest grace.
func (rt *Runtime) recover(ctx context.Context, do act) (SweepResult, error) {
	s := rt.newSweep(SweepRequest{})
	err := s.pass(ctx, 0, store.DueShards, s.now.Add(rt.Timing().MaxGrace+rt.Timing().Grace), do)
	if s.result.More {
		err = errors.Join(err, context.Cause(ctx))
	}
	return s.result, err
}

// recall returns those of a batch whose message the queue has lost, and deals with those that are due.
func (s *sweep) recall(ctx context.Context, batch []store.Result) []store.Job {
	var due []store.Result
	var send []store.Job
	for _, r := range batch {
		if r.Err != nil {
			continue
		}
		if r.Job.State == store.Running && r.Job.Lease != nil {
			if end := r.Job.Lease.Until.Add(s.rt.Timing().Skew); end < s.now && r.Job.Due > s.now {
				r.Job.Due = end // the lease has run out, whatever sweep was told
				due = append(due, r)
				continue
			}
		}
		if r.Job.Due <= s.now {
			due = append(due, r)
		} else if _, ok := s.rt.hint(r.Job); ok {
			send = append(send, r.Job)
			s.add(func(res *SweepResult) { res.Resent++ })
		}
	}
	return append(send, s.look(ctx, due)...)
}
