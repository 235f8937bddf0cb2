package functions

import (
	"context"
	"errors"

	"github.com/piecework/piecework/store"
)

// Recover sends the messages of all jobs that wait for one, and ends the leases that ran out, without waiting for
// them to be due. It is for a process that starts with an empty in-process queue: whatever that queue held before
// is gone. It costs a read for each live job that is due within the longest grace. It returns an error if the store does
// not answer, or if ctx ends before all were looked at.
func (rt *Runtime) Recover(ctx context.Context) (SweepResult, error) {
	s := &sweep{rt: rt, start: rt.now(), next: SweepCursor{}}
	until := s.start.Add(rt.Timing().MaxGrace + rt.Timing().Grace)
	var errs []error
	for shard := range store.DueShards {
		if err := s.shard(ctx, shard, until, s.recall); err != nil {
			errs = append(errs, err)
		}
	}
	if s.result.More {
		errs = append(errs, context.Cause(ctx))
	}
	return s.result, errors.Join(errs...)
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
			if end := r.Job.Lease.Until.Add(s.rt.Timing().Skew); end < s.start && r.Job.Due > s.start {
				r.Job.Due = end // the lease has run out, whatever sweep was told
				due = append(due, r)
				continue
			}
		}
		if r.Job.Due <= s.start {
			due = append(due, r)
		} else if _, ok := s.rt.hint(r.Job); ok {
			send = append(send, r.Job)
			s.add(func(res *SweepResult) { res.Resent++ })
		}
	}
	return append(send, s.look(ctx, due)...)
}
