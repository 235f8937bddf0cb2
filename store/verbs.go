package store

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
)

// New returns the record of a job that starts at now: held, scheduled if j.At is later than now, or queued. The
// caller has filled in what was submitted.
func (s *Store) New(j Job, held bool, now Time) Job {
	j.Version, j.Created = Version, now
	return j.enter(s.opts.Timing, held, now)
}

// Create writes a new record. If there is one of that id already, it returns that one with ErrExists, unless it is
// the same write done before (the nonce tells), which is no error. After ErrUnavailable the record may or may not
// have been created.
func (s *Store) Create(ctx context.Context, j Job) (Job, error) {
	if j.Nonce == "" {
		j.Nonce = s.token()
	}
	for tries := s.retries(); ; {
		j.Write = s.token()
		r, err := encode(j)
		if err != nil {
			return j, err
		}
		err = s.coll.Create(ctx, r)
		f := classify(ctx, err)
		switch f {
		case faultNone:
			j.rev = r.Rev
			return j, nil
		case faultFinal:
			return j, fmt.Errorf("create %s: %w", j.ID, err)
		}
		there, rerr := s.Get(ctx, j.ID)
		switch {
		case rerr == nil && there.Nonce == j.Nonce:
			return there, nil
		case rerr == nil:
			return there, fmt.Errorf("create %s: %w", j.ID, ErrExists)
		case !errors.Is(rerr, ErrNotFound):
			return there, rerr
		}
		if err := tries.again(ctx, err); err != nil {
			return j, fmt.Errorf("create %s: %w", j.ID, err)
		}
	}
}

// chunk is how many actions go into one action list.
const chunk = 100

// CreateMany writes many new records in lists of one hundred. The results are in the order of the jobs; each is
// what Create would have returned.
func (s *Store) CreateMany(ctx context.Context, jobs []Job) []Result {
	results := make([]Result, len(jobs))
	for start := 0; start < len(jobs); start += chunk {
		part := jobs[start:min(start+chunk, len(jobs))]
		done := results[start : start+len(part)]
		s.createChunk(ctx, part, done)
		if away := unavailable(done[len(done)-1].Err); away != nil {
			for i := start + len(part); i < len(jobs); i++ {
				results[i] = Result{jobs[i], fmt.Errorf("create %s: %w", jobs[i].ID, away)}
			}
			return results
		}
	}
	return results
}

// Result is one record's share of a verb over many.
type Result struct {
	Job Job
	Err error
}

func (s *Store) createChunk(ctx context.Context, jobs []Job, results []Result) {
	list := s.coll.Actions()
	records := make([]*record, len(jobs))
	var at []int // of each action in the list, the index of its job
	for i := range jobs {
		if jobs[i].Nonce == "" {
			jobs[i].Nonce = s.token()
		}
		jobs[i].Write = s.token()
		results[i].Job = jobs[i]
		if records[i], results[i].Err = encode(jobs[i]); results[i].Err == nil {
			list.Create(records[i])
			at = append(at, i)
		}
	}
	failed := failures(list.Do(ctx), len(at))
	var away error
	for n, i := range at {
		switch {
		case failed[n] && away != nil:
			results[i].Err = fmt.Errorf("create %s: %w", jobs[i].ID, away)
		case failed[n]:
			results[i].Job, results[i].Err = s.Create(ctx, jobs[i])
			away = unavailable(results[i].Err)
		default:
			results[i].Job.rev = records[i].Rev
		}
	}
}

// unavailable is err if it says that the store does not answer, though asked patiently. The verbs over many then
// give the same to what is left, which would otherwise wait as long again for each.
func unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return nil
}

// failures tells which of n actions failed. Some drivers put an error at index -1: then any of them may have. And
// docstore refuses a whole list for one action that it finds invalid, such as the second for one key, and reports
// this one alone: then none of the others was done.
func failures(err error, n int) []bool {
	failed := make([]bool, n)
	if err == nil {
		return failed
	}
	var list docstore.ActionListError
	if !errors.As(err, &list) {
		list = docstore.ActionListError{{Index: -1, Err: err}}
	}
	for _, e := range list {
		if e.Index >= 0 && e.Index < n && gcerrors.Code(e.Err) != gcerrors.InvalidArgument {
			failed[e.Index] = true
			continue
		}
		for i := range failed {
			failed[i] = true
		}
	}
	return failed
}

// Claim takes the lease of a job for the attempt that c names. The job it returns is running under that token,
// or has failed because its deadline had passed. Errors: ErrNotFound, ErrHeld, ErrNotDue, ErrMove (it has ended, or
// waits for somebody else), ErrKind, ErrLeaseLost (the claim was applied, and the lease ran out before its answer came),
// ErrNewerRecord, ErrUnavailable.
func (s *Store) Claim(ctx context.Context, id string, c Claim) (Job, error) {
	return s.change(ctx, id, nil, func(j Job) (Job, bool, error) { return j.claim(s.opts.Timing, c) })
}

// ClaimMany claims many jobs, with one list of reads and one of writes. claims[i] is for ids[i].
func (s *Store) ClaimMany(ctx context.Context, ids []string, claims []Claim) []Result {
	results := make([]Result, len(ids))
	if len(ids) == 1 {
		results[0].Job, results[0].Err = s.Claim(ctx, ids[0], claims[0])
		return results
	}
	for start := 0; start < len(ids); start += chunk {
		end := min(start+chunk, len(ids))
		s.claimChunk(ctx, ids[start:end], claims[start:end], results[start:end])
	}
	return results
}

func (s *Store) claimChunk(ctx context.Context, ids []string, claims []Claim, results []Result) {
	jobs, errs := s.getMany(ctx, ids)
	list := s.coll.Actions()
	records := make([]*record, len(ids))
	nexts := make([]Job, len(ids))
	var at []int
	for i := range ids {
		if results[i].Job, results[i].Err = jobs[i], errs[i]; errs[i] != nil {
			continue
		}
		next, changed, err := jobs[i].claim(s.opts.Timing, claims[i])
		if err != nil || !changed {
			results[i].Err = err
			continue
		}
		next.Write = s.token()
		if records[i], results[i].Err = encode(next); results[i].Err == nil {
			nexts[i] = next
			list.Update(records[i], changes(jobs[i], next, records[i]))
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return
	}
	failed := failures(list.Do(ctx), len(at))
	var away error
	for n, i := range at {
		switch {
		case failed[n] && away != nil:
			results[i].Err = fmt.Errorf("claim %s: %w", ids[i], away)
		case failed[n]:
			results[i].Job, results[i].Err = s.Claim(ctx, ids[i], claims[i])
			away = unavailable(results[i].Err)
		default:
			nexts[i].rev = records[i].Rev
			results[i].Job = nexts[i]
		}
	}
}

// GetMany reads many jobs by id. A job that cannot be read has its error at the same index.
func (s *Store) GetMany(ctx context.Context, ids []string) []Result {
	results := make([]Result, len(ids))
	for start := 0; start < len(ids); start += chunk {
		end := min(start+chunk, len(ids))
		jobs, errs := s.getMany(ctx, ids[start:end])
		for i := range jobs {
			results[start+i] = Result{jobs[i], errs[i]}
		}
	}
	return results
}

// getMany reads up to a chunk of jobs in one list. What a list did not find is read again alone: some drivers
// report items as missing that they were only throttled on. The same id twice is read alone too.
func (s *Store) getMany(ctx context.Context, ids []string) ([]Job, []error) {
	jobs, errs := make([]Job, len(ids)), make([]error, len(ids))
	records := make([]*record, len(ids))
	list, seen := s.coll.Actions(), make(map[string]bool, len(ids))
	var at []int
	for i, id := range ids {
		if !seen[id] {
			seen[id] = true
			records[i] = &record{ID: id}
			list.Get(records[i], dataFields...)
			at = append(at, i)
		}
	}
	failed := failures(list.Do(ctx), len(at))
	for n, i := range at {
		if failed[n] {
			records[i] = nil
		}
	}
	var away error
	for i, id := range ids {
		switch {
		case records[i] == nil && away != nil:
			errs[i] = fmt.Errorf("get %s: %w", id, away)
		case records[i] == nil:
			jobs[i], errs[i] = s.Get(ctx, id)
			away = unavailable(errs[i])
		default:
			jobs[i], errs[i] = decode(records[i])
		}
	}
	return jobs, errs
}

// Keep extends the lease of an attempt and writes what is new. have is the job as the attempt last saw it, which
// saves the read. It returns the job as stored, so that the attempt sees a request to cancel. Errors: ErrLeaseLost,
// ErrUnavailable.
func (s *Store) Keep(ctx context.Context, have Job, k Keep) (Job, error) {
	j, err := s.change(ctx, have.ID, &have, func(j Job) (Job, bool, error) { return j.keep(s.opts.Timing, k) })
	return j, leaseError(err)
}

// Finish ends an attempt. have is the job as the attempt last saw it. The job's new state says what became of it:
// final, or queued, scheduled or retrying with more to come. Repeating a Finish that was applied changes nothing.
// Errors: ErrLeaseLost, ErrTooLarge, ErrUnavailable.
func (s *Store) Finish(ctx context.Context, have Job, f Finish) (Job, error) {
	j, err := s.change(ctx, have.ID, &have, func(j Job) (Job, bool, error) { return j.finish(s.opts.Timing, f) })
	return j, leaseError(err)
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
	return s.change(ctx, id, nil, func(j Job) (Job, bool, error) { return j.release(s.opts.Timing, now) })
}

// RequestCancel cancels a job that waits, and asks the attempt of a running one to stop: the job stays running
// until its attempt has ended or its lease ran out. Repeating it changes nothing. A job that ended otherwise is
// ErrMove.
func (s *Store) RequestCancel(ctx context.Context, id, reason string, now Time) (Job, error) {
	reason = Clip(reason, MaxErrorText)
	return s.change(ctx, id, nil, func(j Job) (Job, bool, error) { return j.requestCancel(reason, now) })
}

// Requeue gives a failed or cancelled job a fresh set of attempts, from its last checkpoint. Others are ErrMove.
func (s *Store) Requeue(ctx context.Context, id string, now Time) (Job, error) {
	op := s.token()
	return s.change(ctx, id, nil, func(j Job) (Job, bool, error) { return j.requeue(s.opts.Timing, op, now) })
}

// Look does the one thing that a live job asks for when it is due, and says what it was. It is sweep's verb.
func (s *Store) Look(ctx context.Context, have Job, l Look) (Job, Looked, error) {
	var looked Looked
	j, err := s.change(ctx, have.ID, &have, func(j Job) (Job, bool, error) {
		next, did, err := j.look(s.opts.Timing, l)
		looked = did
		return next, did != LookedNothing, err
	})
	return j, looked, err
}

// Done takes effects that were carried out from an ended job's outbox.
func (s *Store) Done(ctx context.Context, have Job, effects []Effect, now Time) (Job, error) {
	return s.change(ctx, have.ID, &have, func(j Job) (Job, bool, error) { return j.done(effects, now) })
}

// Postpone puts off the outbox of an ended job that could not be carried out now.
func (s *Store) Postpone(ctx context.Context, have Job, now Time) (Job, error) {
	return s.change(ctx, have.ID, &have, func(j Job) (Job, bool, error) { return j.postpone(s.opts.Timing, now) })
}

// Doom notes that a job's retention has passed and its files are being removed.
func (s *Store) Doom(ctx context.Context, have Job, now Time) (Job, error) {
	return s.change(ctx, have.ID, &have, func(j Job) (Job, bool, error) { return j.doom(now) })
}

// Delete removes a job whose retention has passed; false means that it changed meanwhile or was gone.
func (s *Store) Delete(ctx context.Context, have Job) (bool, error) { return s.remove(ctx, have) }
