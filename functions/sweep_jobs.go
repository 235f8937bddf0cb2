package functions

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/piecework/piecework/store"
)

// jobs is sweep's step for jobs.
func (s *sweep) jobs(ctx context.Context, ids []string) []store.Job {
	return s.advance(ctx, s.rt.store.GetMany(ctx, ids))
}

// advance does what is due to a batch of jobs, and returns those whose message must be sent.
// Removals come last, jobs with files after jobs that are deleted with one list.
func (s *sweep) advance(ctx context.Context, batch []store.Result) []store.Job {
	var live, filed []store.Result
	var plain []store.Job
	for _, r := range batch {
		switch {
		case r.Err != nil || !s.goes(r.Job):
			live = append(live, r)
		case r.Job.HasFiles():
			filed = append(filed, r)
		default:
			plain = append(plain, r.Job)
		}
	}
	var cancel context.CancelFunc
	s.hooks, cancel = context.WithTimeout(ctx, s.rt.cfg.HookTimeout)
	defer cancel()
	send := s.each(ctx, live, s.advanceJob)
	s.remove(ctx, plain)
	s.each(ctx, filed, s.removeFiled)
	return send
}

// advanceJob does what is due to one job, and returns it if its message must be sent.
func (s *sweep) advanceJob(ctx context.Context, r store.Result) store.Job {
	if s.isAway() { // waiting for each of a batch would take too long
		s.add(func(res *SweepResult) { res.Left++ })
		return store.Job{}
	}
	switch {
	case errors.Is(r.Err, store.ErrNotFound) || errors.Is(r.Err, store.ErrNewerRecord):
		s.add(func(res *SweepResult) { res.Left++ })
		return store.Job{}
	case errors.Is(r.Err, store.ErrCorrupt):
		return s.corrupt(ctx, r.Job, r.Err)
	case r.Err != nil:
		return s.failed(ctx, r.Job, r.Err)
	case r.Job.State.Final():
		return s.ended(ctx, r.Job)
	}
	j, action, err := s.rt.store.AdvanceDue(ctx, r.Job, store.AdvanceDue{
		Now:   s.now,
		Delay: func(j store.Job) time.Duration { return s.rt.retryDelay(ctx, j, "lost") },
	})
	if err != nil {
		return s.failed(ctx, r.Job, err)
	}
	s.count(action)
	if action == store.ActionNothing || action == store.ActionRearmed {
		return store.Job{}
	}
	ctx = s.rt.tel.RecordSweep(ctx, j, action)
	switch action {
	case store.ActionStarted, store.ActionResent:
		return j
	case store.ActionLost:
		s.rt.countEnd(ctx, j)
		s.rt.watch.touch(j.ID)
		s.rt.log.LogAttrs(ctx, levelWarn, "attempt lost with its worker; another follows", identity(j)...)
		return j
	case store.ActionExpired, store.ActionGaveUp:
		s.rt.countEnd(ctx, j)
		s.rt.log.LogAttrs(ctx, levelError, "job ended by sweep", append(identity(j), stateAttr(j.State), errAttr(errors.New(j.Error)))...)
		s.rt.watch.touch(j.ID)
		s.rt.runOutbox(ctx, s.hooks, j)
	}
	return store.Job{}
}

// count counts what was done to a live job.
func (s *sweep) count(action store.DueAction) {
	s.add(func(res *SweepResult) {
		switch action {
		case store.ActionStarted:
			res.Started++
		case store.ActionResent:
			res.Resent++
		case store.ActionLost, store.ActionGaveUp:
			res.Lost++
		case store.ActionExpired:
			res.Expired++
		case store.ActionRearmed:
			res.Rearmed++
		default:
			res.Left++
		}
	})
}

// corruptPause is how long sweep leaves a corrupt record alone: only an operator can repair it.
const corruptPause = 24 * time.Hour

// corrupt logs a record that cannot be read, and makes it due again tomorrow. Each minute would
// fill the log and cost a read until the record is repaired.
func (s *sweep) corrupt(ctx context.Context, j store.Job, err error) store.Job {
	s.add(func(res *SweepResult) { res.Failures++ })
	if serr := s.rt.store.DeferCorrupt(ctx, j, s.now.Add(corruptPause)); serr != nil {
		err = errors.Join(err, serr)
	}
	s.rt.log.LogAttrs(ctx, levelError, "sweep found a record that cannot be read; it is logged once a day until it is repaired or deleted",
		append(identity(j), errAttr(err))...)
	return store.Job{}
}

// ended carries out the outbox of an ended job.
func (s *sweep) ended(ctx context.Context, j store.Job) store.Job {
	if j.Due == 0 || j.Due > s.now {
		s.add(func(res *SweepResult) { res.Left++ })
		return store.Job{}
	}
	next := s.rt.runOutbox(ctx, s.hooks, j)
	if !next.SameEnd(j) {
		s.add(func(res *SweepResult) { res.Left++ })
		return store.Job{}
	}
	if len(next.Outbox) < len(j.Outbox) {
		s.add(func(res *SweepResult) { res.Settled++ })
	}
	if len(next.Outbox) > 0 {
		if _, err := s.rt.store.Postpone(ctx, next, s.rt.now()); err != nil {
			return s.failed(ctx, j, err)
		}
	}
	return store.Job{}
}

// goes reports whether a job is to be removed: its retention has passed, or a previous sweep has
// begun to remove it.
func (s *sweep) goes(j store.Job) bool {
	return j.Due != 0 && j.Due <= s.now && (j.Overdue(s.now) || slices.Contains(j.Outbox, store.EffectRemove))
}

// remove removes jobs without files.
func (s *sweep) remove(ctx context.Context, jobs []store.Job) {
	for i, d := range s.rt.store.DeleteMany(ctx, jobs) {
		s.removed(ctx, jobs[i], d.Gone, d.Err)
	}
}

// removed counts the outcome of a removal.
func (s *sweep) removed(ctx context.Context, j store.Job, gone bool, err error) {
	switch {
	case err != nil:
		s.failed(ctx, j, err)
	case gone:
		s.add(func(res *SweepResult) { res.Removed++ })
	default:
		s.add(func(res *SweepResult) { res.Left++ })
	}
}

// removeFiled removes a job with its files. A job that is still in a partition of due jobs, where
// older versions put it, is only marked, which moves it to a partition of removals: removing files
// takes time.
func (s *sweep) removeFiled(ctx context.Context, r store.Result) store.Job {
	if s.isAway() {
		s.removed(ctx, r.Job, false, nil)
		return store.Job{}
	}
	j, err := s.rt.store.MarkRemoving(ctx, r.Job, s.now)
	gone := false
	if err == nil && (s.part >= store.DueShards || r.Job.Write == j.Write) {
		gone, err = s.removeFiles(ctx, j)
	}
	s.removed(ctx, j, gone, err)
	return store.Job{}
}

// removeFiles removes the files of a job and then its record. It lists the files before it reads
// the record once more. If the record is still marked as before, all files on the list belong to
// it, and none to a job that is submitted under the same key after this job is gone. Only arguments
// of such a submission may be on the list, since they are written before its record.
func (s *sweep) removeFiles(ctx context.Context, j store.Job) (gone bool, err error) {
	if !slices.Contains(j.Outbox, store.EffectRemove) {
		return false, nil
	}
	there, err := s.rt.blobs.List(ctx, j.ID)
	if err != nil {
		return false, err
	}
	fresh, err := s.rt.store.Get(ctx, j.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && fresh.Write != j.Write {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	there = slices.DeleteFunc(there, func(p blobPart) bool {
		return isArgs(j.ID, p.Key) && (j.Args.Blob == nil || p.Key != j.Args.Blob.Key)
	})
	if err := s.rt.blobs.Remove(ctx, there...); err != nil {
		return false, err
	}
	return s.rt.store.Delete(ctx, j)
}
