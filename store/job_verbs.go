package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/store/internal/engine"
)

// NewJob returns the record of a job that starts at now: held, scheduled if j.At is later than now, or queued. The
// caller has filled in what was submitted.
func (s *Store) NewJob(j Job, held bool, now Time) Job {
	j.Version, j.Created = formatPlain, now
	return j.enter(s.opts.Timing, held, now)
}

// Create writes a new record. If there is one of that id already, it returns that one with ErrExists, unless it is
// the same write done before (the nonce tells), which is no error. One that is past its expiry and not yet deleted is
// replaced, on condition that nobody else does so. After ErrUnavailable the record may or may not have been created. A
// process that is frozen amid this until the job has ended and its retention has passed may create it anew: nothing is
// left then that would tell.
func (s *Store) Create(ctx context.Context, j Job) (Job, error) {
	return s.jobs.Create(ctx, s.tries(), j)
}

// Get reads a job by its id, strongly consistent. It gives ErrNotFound, also for one that is past its expiry and not
// yet deleted, ErrNewerRecord (with the job as far as it can be read), ErrCorrupt, or ErrUnavailable after patient tries.
func (s *Store) Get(ctx context.Context, id string) (Job, error) {
	return s.jobs.Get(ctx, s.tries(), id)
}

// change applies a step to a job as it was read, or as it is stored if have has only an id.
func (s *Store) change(ctx context.Context, have Job, step engine.Step[Job]) (Job, error) {
	return s.jobs.Change(ctx, s.tries(), have, step)
}

// Claim takes the lease of a job for the attempt that c names. The job it returns is running under that token,
// or has failed because its deadline had passed. Errors: ErrNotFound, ErrHeld, ErrNotDue, ErrMove (it has ended, or
// waits for somebody else), ErrKind, ErrSuspect, ErrLeaseLost (the claim was applied, and the lease ran out before its answer came),
// ErrNewerRecord, ErrUnavailable.
//
// It gives up after half a lease: the lease counts from c.Now, and what is left of it must do for the attempt.
func (s *Store) Claim(ctx context.Context, id string, c Claim) (Job, error) {
	return s.jobs.Change(ctx, s.coll.Tries(s.claimPatience()), Job{ID: id}, func(j Job) (Job, bool, error) {
		return j.claim(s.opts.Timing, c)
	})
}

// claimPatience is how long a claim is tried. A later one would leave too little of its lease, which counts from when
// it was asked for; and of many that are claimed together, the first must not run out while the last are tried.
func (s *Store) claimPatience() time.Duration { return min(s.opts.Patience, s.opts.Timing.Lease/2) }

// Heartbeat extends the lease of an attempt and writes what is new. have is the job as the attempt last saw it, which
// saves the read. It returns the job as stored, so that the attempt sees a request to cancel. Against a store that does
// not answer it goes on until the lease has run out. Errors: ErrLeaseLost, ErrUnavailable.
func (s *Store) Heartbeat(ctx context.Context, have Job, k Heartbeat) (Job, error) {
	tries := s.coll.Tries(s.leasePatience(have, k.Now))
	j, err := s.jobs.Change(ctx, tries, have, func(j Job) (Job, bool, error) { return j.heartbeat(s.opts.Timing, k) })
	return j, leaseError(err)
}

// Finish ends an attempt. have is the job as the attempt last saw it. The job's new state says what became of it:
// final, or queued, scheduled or retrying with more to come. Repeating a Finish that was applied changes nothing.
// Against a store that does not answer it goes on until the lease has run out, and for Options.Patience at least.
// Errors: ErrLeaseLost, ErrTooLarge, ErrUnavailable.
func (s *Store) Finish(ctx context.Context, have Job, f Finish) (Job, error) {
	tries := s.coll.Tries(max(s.opts.Patience, s.leasePatience(have, f.Now)))
	j, err := s.jobs.Change(ctx, tries, have, func(j Job) (Job, bool, error) { return j.finish(s.opts.Timing, f) })
	return j, leaseError(err)
}

// leasePatience is how long a write of an attempt is tried: until its lease has run out. Until then nobody else can
// hold the job, and giving up would lose the attempt for nothing. After an expired lease, of a process that was frozen, it
// is still tried for Lease/3: if sweep has not ended the attempt, the write succeeds.
func (s *Store) leasePatience(have Job, now Time) time.Duration {
	if have.Lease == nil {
		return s.opts.Patience
	}
	left := min(have.Lease.Until.Sub(now), s.opts.Timing.Lease) // more is left only by a clock that was set back
	return max(left, min(s.opts.Patience, s.opts.Timing.Lease/3))
}

// leaseError says of a job that is gone, because its retention passed, that the lease is lost.
func leaseError(err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	return err
}

// Release lets a held job go: queued, or scheduled if its time is later. A job that is not held any more is
// returned as it is; one that ended is ErrMove.
func (s *Store) Release(ctx context.Context, id string, now Time) (Job, error) {
	return s.change(ctx, Job{ID: id}, func(j Job) (Job, bool, error) { return j.release(s.opts.Timing, now) })
}

// RequestCancel cancels a job that waits, and asks the attempt of a running one to stop: the job stays running
// until its attempt has ended or its lease ran out. Repeating it changes nothing. A job that ended otherwise is
// ErrMove.
func (s *Store) RequestCancel(ctx context.Context, id, reason string, now Time) (Job, error) {
	reason = Clip(reason, MaxErrorText)
	return s.change(ctx, Job{ID: id}, func(j Job) (Job, bool, error) { return j.requestCancel(reason, now) })
}

// Requeue gives a failed or cancelled job a fresh set of attempts, from its last checkpoint. Others are ErrMove.
func (s *Store) Requeue(ctx context.Context, id string, now Time) (Job, error) {
	op := s.coll.Token()
	return s.change(ctx, Job{ID: id}, func(j Job) (Job, bool, error) { return j.requeue(s.opts.Timing, op, now) })
}

// AdvanceDue does the one thing that a live job asks for when it is due, and says what it was. It is sweep's verb.
func (s *Store) AdvanceDue(ctx context.Context, have Job, l AdvanceDue) (Job, DueAction, error) {
	var looked DueAction
	j, err := s.change(ctx, have, func(j Job) (Job, bool, error) {
		next, did, err := j.advanceDue(s.opts.Timing, l)
		looked = did
		return next, did != ActionNothing, err
	})
	return j, looked, err
}

// ClearEffects takes effects that were carried out for an ended job from its outbox. If the job has been retried since have, it
// changes nothing, also if the job has ended again: what was done for one end is not done for the next.
func (s *Store) ClearEffects(ctx context.Context, have Job, effects []Effect, now Time) (Job, error) {
	return s.change(ctx, have, func(j Job) (Job, bool, error) { return j.clearEffects(have, effects, now) })
}

// Postpone puts off the outbox of an ended job that could not be carried out now. If the job has been retried since have,
// it changes nothing.
func (s *Store) Postpone(ctx context.Context, have Job, now Time) (Job, error) {
	return s.change(ctx, have, func(j Job) (Job, bool, error) { return j.postpone(s.opts.Timing, have, now) })
}

// MarkRemoving notes that a job's retention has passed and its files are being removed.
func (s *Store) MarkRemoving(ctx context.Context, have Job, now Time) (Job, error) {
	return s.change(ctx, have, func(j Job) (Job, bool, error) { return j.markRemoving(now) })
}

// Delete removes a job whose retention has passed; false means that it changed meanwhile or was gone.
func (s *Store) Delete(ctx context.Context, have Job) (bool, error) {
	return s.jobs.Remove(ctx, s.tries(), have)
}
