package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/store/internal/engine"
)

// NewJob returns the record of a job that is submitted at now: held, scheduled if j.At is later
// than now, or queued. The caller has set the members of j that were submitted.
func (s *Store) NewJob(j Job, held bool, now Time) Job {
	j.Version, j.Created = formatPlain, now
	return j.enter(s.opts.Timing, held, now)
}

// Create writes a new record. If there is a record with that id already, it returns that record
// with ErrExists. If both have the same nonce, it is the same write, done before, which is no
// error. A record that is past its expiry and not yet deleted is replaced, on condition that no
// other process does so. After ErrUnavailable the record may or may not have been created.
//
// Known limit: a process that is frozen inside Create for longer than the job's life and retention
// creates the job a second time.
func (s *Store) Create(ctx context.Context, j Job) (Job, error) {
	return s.jobs.Create(ctx, s.tries(), j)
}

// Get reads a job by its id, strongly consistent. It returns ErrNotFound, also for a job that is
// past its expiry and not yet deleted; ErrNewerRecord or ErrCorrupt, with the job as far as it can
// be read; or ErrUnavailable.
func (s *Store) Get(ctx context.Context, id string) (Job, error) {
	return s.jobs.Get(ctx, s.tries(), id)
}

// change applies a step to have, or to the stored job if have has only an id.
func (s *Store) change(ctx context.Context, have Job, step engine.Step[Job]) (Job, error) {
	return s.jobs.Change(ctx, s.tries(), have, step)
}

// Claim takes the lease of a job for the attempt that c names. The job it returns is running under
// the token of the claim, or has failed because its deadline had passed. Errors: ErrNotFound,
// ErrHeld, ErrNotDue, ErrMove (the job has ended, is held or is blocked), ErrKind, ErrSuspect,
// ErrLeaseLost (the claim was applied, and the lease ran out before its answer came),
// ErrNewerRecord, ErrUnavailable.
//
// It gives up after half a lease: the lease counts from c.Now, and the rest of it must be enough
// for the attempt to start.
func (s *Store) Claim(ctx context.Context, id string, c Claim) (Job, error) {
	return s.jobs.Change(ctx, s.coll.Tries(s.claimPatience()), Job{ID: id}, func(j Job) (Job, bool, error) {
		return j.claim(s.opts.Timing, c)
	})
}

// claimPatience is how long a claim is tried. A later claim would leave too little of its lease,
// which counts from the time of the request. Of many jobs that are claimed together, the first
// lease must not run out while the last claims are tried.
func (s *Store) claimPatience() time.Duration { return min(s.opts.Patience, s.opts.Timing.Lease/2) }

// Heartbeat extends the lease of an attempt and writes what is new. have is the job as the attempt
// last saw it, which saves the read. It returns the job as stored, so that the attempt sees a
// request to cancel. If the store does not answer, it tries until the lease has run out. Errors:
// ErrLeaseLost, ErrUnavailable.
func (s *Store) Heartbeat(ctx context.Context, have Job, k Heartbeat) (Job, error) {
	tries := s.coll.Tries(s.leasePatience(have, k.Now))
	j, err := s.jobs.Change(ctx, tries, have, func(j Job) (Job, bool, error) { return j.heartbeat(s.opts.Timing, k) })
	return j, leaseError(err)
}

// Finish ends an attempt. have is the job as the attempt last saw it. The new state of the job is
// final, or it is queued, scheduled or retrying if more is to come. Repeating a Finish that was
// applied changes nothing. If the store does not answer, Finish tries until the lease has run out,
// and for Options.Patience at least. Errors: ErrLeaseLost, ErrTooLarge, ErrUnavailable.
func (s *Store) Finish(ctx context.Context, have Job, f Finish) (Job, error) {
	tries := s.coll.Tries(max(s.opts.Patience, s.leasePatience(have, f.Now)))
	j, err := s.jobs.Change(ctx, tries, have, func(j Job) (Job, bool, error) { return j.finish(s.opts.Timing, f) })
	return j, leaseError(err)
}

// leasePatience is how long a write of an attempt is tried: until its lease has run out. Until then
// no other attempt can hold the job, and giving up would lose the attempt needlessly. After an
// expired lease, for instance because the process was frozen, it is still tried for Lease/3: if
// sweep has not ended the attempt, the write succeeds.
func (s *Store) leasePatience(have Job, now Time) time.Duration {
	if have.Lease == nil {
		return s.opts.Patience
	}
	// More than a lease is left only if a clock was set back.
	left := min(have.Lease.Until.Sub(now), s.opts.Timing.Lease)
	return max(left, min(s.opts.Patience, s.opts.Timing.Lease/3))
}

// leaseError adds ErrLeaseLost to the error of a job that is gone because its retention has passed.
func leaseError(err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	return err
}

// Release makes a held job queued, or scheduled if its time is later. A live job that is not held
// is returned unchanged. For an ended job it returns ErrMove.
func (s *Store) Release(ctx context.Context, id string, now Time) (Job, error) {
	return s.change(ctx, Job{ID: id}, func(j Job) (Job, bool, error) { return j.release(s.opts.Timing, now) })
}

// RequestCancel cancels a job that is not running, and asks the attempt of a running job to stop:
// the job stays running until its attempt has ended or its lease ran out. Repeating it changes
// nothing. For a job that ended otherwise it returns ErrMove.
func (s *Store) RequestCancel(ctx context.Context, id, reason string, now Time) (Job, error) {
	reason = Clip(reason, MaxErrorText)
	return s.change(ctx, Job{ID: id}, func(j Job) (Job, bool, error) { return j.requestCancel(reason, now) })
}

// Requeue gives a failed or cancelled job a fresh set of attempts, from its last checkpoint. For
// other jobs it returns ErrMove.
func (s *Store) Requeue(ctx context.Context, id string, now Time) (Job, error) {
	op := s.coll.Token()
	return s.change(ctx, Job{ID: id}, func(j Job) (Job, bool, error) { return j.requeue(s.opts.Timing, op, now) })
}

// AdvanceDue does the one thing that the state of a live job requires when it is due, and returns
// what it did. It is sweep's verb.
func (s *Store) AdvanceDue(ctx context.Context, have Job, l AdvanceDue) (Job, DueAction, error) {
	var looked DueAction
	j, err := s.change(ctx, have, func(j Job) (Job, bool, error) {
		next, did, err := j.advanceDue(s.opts.Timing, l)
		looked = did
		return next, did != ActionNothing, err
	})
	return j, looked, err
}

// ClearEffects removes effects that were carried out for an ended job from its outbox. If the job
// has been retried since have, it changes nothing, also if the job has ended again: what was done
// for one end is not done for the next.
func (s *Store) ClearEffects(ctx context.Context, have Job, effects []Effect, now Time) (Job, error) {
	return s.change(ctx, have, func(j Job) (Job, bool, error) { return j.clearEffects(have, effects, now) })
}

// Postpone makes the outbox of an ended job, which could not be carried out, due later. If the job
// has been retried since have, it changes nothing.
func (s *Store) Postpone(ctx context.Context, have Job, now Time) (Job, error) {
	return s.change(ctx, have, func(j Job) (Job, bool, error) { return j.postpone(s.opts.Timing, have, now) })
}

// MarkRemoving notes that a job's retention has passed and its files are being removed.
func (s *Store) MarkRemoving(ctx context.Context, have Job, now Time) (Job, error) {
	return s.change(ctx, have, func(j Job) (Job, bool, error) { return j.markRemoving(now) })
}

// Delete removes a job whose retention has passed. False means that the job changed meanwhile or
// was gone.
func (s *Store) Delete(ctx context.Context, have Job) (bool, error) {
	return s.jobs.Remove(ctx, s.tries(), have)
}
