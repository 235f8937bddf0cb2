package functions

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/piecework/piecework/store"
)

// ended carries out the outbox of an ended job, or removes it when its retention has passed.
func (s *sweep) ended(ctx context.Context, j store.Job) store.Job {
	var err error
	switch {
	case j.Due == 0 || j.Due > s.start:
		s.add(func(res *SweepResult) { res.Left++ })
		return store.Job{}
	case j.Overdue(s.start) && !j.HasFiles():
		err = s.remove(ctx, j)
	case j.Overdue(s.start):
		if j, err = s.rt.store.Doom(ctx, j, s.start); err == nil {
			err = s.removeFiles(ctx, j)
		}
	case slices.Contains(j.Outbox, store.EffectRemove):
		err = s.removeFiles(ctx, j)
	default:
		next := s.rt.settle(ctx, j)
		if !next.SameEnd(j) {
			s.add(func(res *SweepResult) { res.Left++ })
			break
		}
		if len(next.Outbox) < len(j.Outbox) {
			s.add(func(res *SweepResult) { res.Settled++ })
		}
		if len(next.Outbox) > 0 {
			_, err = s.rt.store.Postpone(ctx, next, s.start)
		}
	}
	if err != nil {
		return s.failed(ctx, j, err)
	}
	return store.Job{}
}

// removeFiles removes the files of a job and then its record. It lists them before it reads the record once more: if
// that is still the doomed one, all that was on the list is its own, and nothing of a job that somebody submits under
// the same key when this one is gone. Arguments of such a submission may be on the list all the same: they come first.
func (s *sweep) removeFiles(ctx context.Context, j store.Job) error {
	if !slices.Contains(j.Outbox, store.EffectRemove) {
		s.add(func(res *SweepResult) { res.Left++ })
		return nil
	}
	there, err := s.rt.blobs.List(ctx, j.ID)
	if err != nil {
		return err
	}
	fresh, err := s.rt.store.Get(ctx, j.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && fresh.Write != j.Write {
		s.add(func(res *SweepResult) { res.Left++ })
		return nil
	}
	if err != nil {
		return err
	}
	there = slices.DeleteFunc(there, func(p blobPart) bool {
		return strings.Contains(p.Key, "/p-args-") && (j.Args.Blob == nil || p.Key != j.Args.Blob.Key)
	})
	if err := s.rt.blobs.Remove(ctx, there...); err != nil {
		return err
	}
	return s.remove(ctx, j)
}

func (s *sweep) remove(ctx context.Context, j store.Job) error {
	gone, err := s.rt.store.Delete(ctx, j)
	s.add(func(res *SweepResult) {
		if gone {
			res.Removed++
		} else if err == nil {
			res.Left++
		}
	})
	return err
}
