package functions

import (
	"context"
	"errors"
	"slices"

	"github.com/piecework/piecework/store"
)

// ended carries out the outbox of an ended job.
func (s *sweep) ended(ctx context.Context, j store.Job) store.Job {
	if j.Due == 0 || j.Due > s.now {
		s.add(func(res *SweepResult) { res.Left++ })
		return store.Job{}
	}
	next := s.rt.settle(ctx, s.hooks, j)
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

// goes reports whether a job is to be removed: its retention has passed, or a sweep before has begun to remove it.
func (s *sweep) goes(j store.Job) bool {
	return j.Due != 0 && j.Due <= s.now && (j.Overdue(s.now) || slices.Contains(j.Outbox, store.EffectRemove))
}

// remove removes jobs without files.
func (s *sweep) remove(ctx context.Context, jobs []store.Job) {
	for i, d := range s.rt.store.DeleteMany(ctx, jobs) {
		s.removed(ctx, jobs[i], d.Gone, d.Err)
	}
}

// removed counts what came of a removal.
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

// removeFiled removes a job with its files. One that still stands among what is due, as versions before had it, is only
// marked, which puts it where those wait that are to be removed: files take their time.
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

// removeFiles removes the files of a job and then its record. It lists them before it reads the record once more: if
// that is still the doomed one, all that was on the list is its own, and nothing of a job that somebody submits under
// the same key when this one is gone. Arguments of such a submission may be on the list all the same: they come first.
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
