package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
)

// chunk is how many actions go into one action list, at most.
const chunk = 100

// Result is one record's share of a verb over many.
type Result struct {
	Job Job
	Err error

	size int // of the stored data in bytes, if the record was read
}

// result is a record that was read.
func (s *Store) result(r *record) Result {
	j, err := s.present(r)
	return Result{Job: j, Err: err, size: len(r.Data)}
}

// CreateMany writes many new records in lists of up to one hundred. The results are in the order of the jobs; each is
// what Create would have returned.
func (s *Store) CreateMany(ctx context.Context, jobs []Job) []Result {
	results := make([]Result, len(jobs))
	for i := range jobs {
		if jobs[i].Nonce == "" {
			jobs[i].Nonce = s.token()
		}
		results[i].Job = jobs[i]
	}
	tries := s.retries()
	left, err := s.inRounds(ctx, len(jobs), tries, func(some []int) ([]int, error) {
		return s.createSome(ctx, tries, jobs, some, results)
	})
	for _, i := range left {
		results[i].Err = fmt.Errorf("create %s: %w", jobs[i].ID, err)
	}
	return results
}

// ClaimMany claims many jobs, with one list of reads and one of writes for each hundred. claims[i] is for ids[i].
func (s *Store) ClaimMany(ctx context.Context, ids []string, claims []Claim) []Result {
	results := make([]Result, len(ids))
	if len(ids) == 1 {
		results[0].Job, results[0].Err = s.Claim(ctx, ids[0], claims[0])
		return results
	}
	tries := s.patiently(s.claimPatience()).retries()
	tries.whole = true
	left, err := s.inRounds(ctx, len(ids), tries, func(some []int) ([]int, error) {
		return s.claimSome(ctx, tries, ids, claims, some, results)
	})
	if len(left) > 0 {
		s.claimed(ctx, ids, claims, left, results, err)
	}
	return results
}

// claimed looks which claims, of those that the store gave no answer for, it has applied all the same. A job that is
// claimed and not run would cost an attempt. It takes a quarter of the lease at most.
func (s *Store) claimed(ctx context.Context, ids []string, claims []Claim, left []int, results []Result, trouble error) {
	asked := make([]string, len(left))
	for n, i := range left {
		asked[n] = ids[i]
	}
	for n, r := range s.patiently(s.claimPatience()/2).GetMany(ctx, asked) {
		i := left[n]
		switch {
		case r.Err == nil && r.Job.holds(claims[i].Token):
			results[i] = r
		default:
			results[i].Err = fmt.Errorf("claim %s: %w", ids[i], trouble)
		}
	}
}

// GetMany reads many jobs by id. A job that cannot be read has its error at the same index.
func (s *Store) GetMany(ctx context.Context, ids []string) []Result {
	results := make([]Result, len(ids))
	left, err := s.inRounds(ctx, len(ids), s.retries(), func(some []int) ([]int, error) { return s.readSome(ctx, ids, some, results) })
	for _, i := range left {
		results[i].Err = fmt.Errorf("get %s: %w", ids[i], err)
	}
	return results
}

// inRounds does something to n items, in lists. do is given the indexes of some, and returns those that the store gave
// no answer for, with its reason; these are asked for again after a pause that all share. A store that refuses most of a
// list gets lists of half the length: the rate at which it is asked falls to what it can bear, and it is not asked
// for a hundred things for each that it does. When patience is at its end, what is left is returned with
// ErrUnavailable.
func (s *Store) inRounds(ctx context.Context, n int, tries *tries, do func(some []int) ([]int, error)) ([]int, error) {
	todo := make([]int, n)
	for i := range todo {
		todo[i] = i
	}
	tries.delay.MaxInterval = time.Second // shorter lists spare the store as longer pauses would
	for length := chunk; len(todo) > 0; {
		some := todo[:min(length, len(todo))]
		left, err := do(some)
		todo = append(todo[len(some):], left...) // those of this list last: another may be what is in their way
		if len(left) == 0 {
			length = min(2*length, chunk)
			tries.delay.Reset()
			continue
		}
		if len(left) < len(some) {
			tries.progress()
		}
		if 2*len(left) > len(some) {
			length = max(len(some)/2, 1)
		}
		if errors.Is(err, ErrUnavailable) { // one was asked for alone, for as long as patience lasted
			return todo, err
		}
		if err := tries.again(ctx, err); err != nil {
			return todo, err
		}
	}
	return nil, nil
}

// createSome creates those of the jobs with one list.
func (s *Store) createSome(ctx context.Context, tries *tries, jobs []Job, some []int, results []Result) (left []int, trouble error) {
	list, seen := s.coll.Actions(), make(map[string]bool, len(some))
	records := make([]*record, 0, len(some))
	var at, twice, alone []int // of each action in the list, the index of its job
	for _, i := range some {
		if seen[jobs[i].ID] {
			twice = append(twice, i)
			continue
		}
		jobs[i].Write = s.token()
		results[i].Job = jobs[i]
		var r *record
		if _, r, results[i].Err = s.fit(Job{}, jobs[i]); results[i].Err == nil {
			list.Create(r)
			at, records, seen[jobs[i].ID] = append(at, i), append(records, r), true
		}
	}
	errs, vague := answers(list.Do(ctx), len(at))
	for n, i := range at {
		switch f, err := classify(ctx, errs[n]); {
		case f == faultNone:
			results[i].Job.rev = records[n].Rev
		case f == faultFinal && vague: // perhaps another's fault
			alone = append(alone, i)
		case f == faultFinal:
			results[i].Err = fmt.Errorf("create %s: %w", jobs[i].ID, err)
		case f == faultUnknown && !vague:
			left, trouble = append(left, i), err // if it was applied, the next try finds it
		default:
			twice = append(twice, i)
			trouble = err
		}
	}
	unsettled, expired, err := s.created(ctx, jobs, twice, results)
	trouble = cmp.Or(err, trouble)
	apart, err := oneByOne(append(alone, expired...), func(i int) error {
		results[i].Job, results[i].Err = s.create(ctx, tries, jobs[i])
		return results[i].Err
	})
	return slices.Concat(left, unsettled, apart), cmp.Or(err, trouble)
}

// oneByOne settles items alone that a list could not settle. If the store does not answer for one, until patience is at
// its end, it returns this one and those behind it: asking for each as patiently would take as often as long.
func oneByOne(alone []int, do func(i int) error) (left []int, trouble error) {
	for n, i := range alone {
		if err := do(i); errors.Is(err, ErrUnavailable) {
			return alone[n:], cmp.Or(errors.Unwrap(err), err) // without the name of this one
		}
	}
	return nil, nil
}

// created looks which of some jobs are stored, and by whom. Those that are not, and may be created, are left; expired are
// those in whose place there is one that has expired.
func (s *Store) created(ctx context.Context, jobs []Job, some []int, results []Result) (left, expired []int, trouble error) {
	if len(some) == 0 {
		return nil, nil, nil
	}
	ids, all := make([]string, len(some)), make([]int, len(some))
	for n, i := range some {
		ids[n], all[n] = jobs[i].ID, n
	}
	there := make([]Result, len(some))
	unread, trouble := s.readSome(ctx, ids, all, there)
	for _, n := range unread {
		there[n].Err = ErrNotFound // creating it tells as well
	}
	for n, i := range some {
		switch r := there[n]; {
		case errors.Is(r.Err, errExpired):
			expired = append(expired, i)
		case errors.Is(r.Err, ErrNotFound):
			left = append(left, i)
		case r.Err != nil:
			results[i] = r
		case r.Job.Nonce == jobs[i].Nonce:
			results[i] = r
		default:
			results[i] = Result{Job: r.Job, Err: fmt.Errorf("create %s: %w", jobs[i].ID, ErrExists)}
		}
	}
	return left, expired, trouble
}

// claimSome claims those of the jobs with one list of reads and one of writes.
func (s *Store) claimSome(ctx context.Context, tries *tries, ids []string, claims []Claim, some []int, results []Result) (left []int, trouble error) {
	left, trouble = s.readSome(ctx, ids, some, results)
	unread := make(map[int]bool, len(left))
	for _, i := range left {
		unread[i] = true
	}
	list, seen := s.coll.Actions(), make(map[string]bool, len(some))
	var records []*record
	var nexts []Job
	var at, alone []int
	for _, i := range some {
		if unread[i] || results[i].Err != nil {
			continue
		}
		if seen[ids[i]] {
			alone = append(alone, i)
			continue
		}
		have := results[i].Job
		next, changed, err := have.claim(s.opts.Timing, claims[i])
		if err != nil || !changed {
			results[i].Err = err
			continue
		}
		next = next.leave(s.opts.TTL)
		next.Write = s.token()
		next, r, err := s.fit(have, next)
		if results[i].Err = err; err == nil {
			list.Update(r, s.changes(have, next, r))
			at, records, nexts, seen[ids[i]] = append(at, i), append(records, r), append(nexts, next), true
		}
	}
	errs, vague := answers(list.Do(ctx), len(at))
	for n, i := range at {
		switch f, err := classify(ctx, errs[n]); {
		case f == faultNone:
			nexts[n].rev = records[n].Rev
			results[i].Job = nexts[n]
		case f == faultUnknown || vague && f != faultFinal:
			left, trouble = append(left, i), err
		default:
			alone = append(alone, i)
		}
	}
	apart, err := oneByOne(alone, func(i int) error {
		results[i].Job, results[i].Err = s.claim(ctx, tries, ids[i], claims[i])
		return results[i].Err
	})
	return append(left, apart...), cmp.Or(err, trouble)
}

// readSome reads those of the jobs with one list. What the list did not find is read again alone: some drivers report
// items as missing that they were only throttled on. The same id twice is read alone too.
func (s *Store) readSome(ctx context.Context, ids []string, some []int, results []Result) (left []int, trouble error) {
	list, seen := s.coll.Actions(), make(map[string]bool, len(some))
	records := make([]*record, 0, len(some))
	var at, alone []int
	for _, i := range some {
		if seen[ids[i]] {
			alone = append(alone, i)
			continue
		}
		if err := CheckID(ids[i]); err != nil {
			results[i] = Result{Err: fmt.Errorf("get: %w: %w", ErrNotFound, err)}
			continue
		}
		r := &record{ID: ids[i]}
		list.Get(r, dataFields...)
		at, records, seen[ids[i]] = append(at, i), append(records, r), true
	}
	errs, vague := answers(list.Do(ctx), len(at))
	for n, i := range at {
		switch f, err := classify(ctx, errs[n]); {
		case f == faultNone:
			results[i] = s.result(records[n])
		case f == faultUnknown:
			left, trouble = append(left, i), err
		case f == faultFinal && !vague:
			results[i] = Result{Err: fmt.Errorf("get %s: %w", ids[i], err)}
		default:
			alone = append(alone, i)
		}
	}
	for _, i := range alone {
		r := &record{ID: ids[i]}
		f, err := classify(ctx, s.coll.Get(ctx, r, dataFields...))
		switch f {
		case faultNone:
			results[i] = s.result(r)
		case faultMissing:
			results[i] = Result{Err: fmt.Errorf("get %s: %w", ids[i], ErrNotFound)}
		case faultFinal:
			results[i] = Result{Err: fmt.Errorf("get %s: %w", ids[i], err)}
		default:
			left, trouble = append(left, i), err
		}
	}
	return left, trouble
}

// answers gives each of n actions of a list its error. Some drivers put an error at index -1: then any of the actions
// may have failed, and any may have been done. And docstore refuses a whole list for one action that it finds
// invalid and reports this one alone: then none was done. Both are vague: the error is that of all.
func answers(err error, n int) (errs []error, vague bool) {
	errs = make([]error, n)
	if err == nil {
		return errs, false
	}
	var list docstore.ActionListError
	if !errors.As(err, &list) {
		list = docstore.ActionListError{{Index: -1, Err: err}}
	}
	for _, e := range list {
		if e.Index >= 0 && e.Index < n && gcerrors.Code(e.Err) != gcerrors.InvalidArgument {
			errs[e.Index] = e.Err
			continue
		}
		for i := range errs {
			errs[i] = err
		}
		return errs, true
	}
	return errs, false
}
