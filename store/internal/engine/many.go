package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
)

// chunk is how many actions go into one action list, at most.
const chunk = 100

// Result is one record's share of a verb over many.
type Result[R any] struct {
	Record R
	Err    error

	size int // of the stored data in bytes, if the record was read
}

// inRounds does something to n items, in lists. do is given the indexes of some, and returns those
// that the store did not answer for, with its reason. They are asked for again after a pause that
// all share. A store that refuses most of a list gets lists of half the length: the rate at which
// it is asked falls to what it can bear, and it is not asked for a hundred things for each that it
// does. When patience is used up, inRounds returns what is left with ErrUnavailable.
func inRounds(ctx context.Context, n int, tries *Tries, do func(some []int) ([]int, error)) ([]int, error) {
	todo := make([]int, n)
	for i := range todo {
		todo[i] = i
	}
	tries.delay.MaxInterval = time.Second // shorter lists spare the store as longer pauses would
	for length := chunk; len(todo) > 0; {
		some := todo[:min(length, len(todo))]
		left, err := do(some)
		todo = append(todo[len(some):], left...) // last: others may be in their way
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
		if errors.Is(err, ErrUnavailable) { // one was asked for alone, until patience was used up
			return todo, err
		}
		if err := tries.again(ctx, err); err != nil {
			return todo, err
		}
	}
	return nil, nil
}

// oneByOne does alone what a list could not do. If the store does not answer for one item until
// patience is used up, it returns this item and those behind it: asking for each as patiently would
// take as often as long.
func oneByOne(alone []int, do func(i int) error) (left []int, trouble error) {
	for n, i := range alone {
		if err := do(i); errors.Is(err, ErrUnavailable) {
			return alone[n:], cmp.Or(errors.Unwrap(err), err) // without the name of this item
		}
	}
	return nil, nil
}

// answers gives each of n actions of a list its error. Some drivers put an error at index -1: then
// any of the actions may have failed, and any may have been done. And docstore refuses a whole list
// for one action that it finds invalid, and reports that action alone: then none was done. Both are
// vague: the error applies to all.
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

// GetMany reads many records by id. A record that cannot be read has its error at the same index.
func (rs Records[R]) GetMany(ctx context.Context, tries *Tries, ids []string) []Result[R] {
	results := make([]Result[R], len(ids))
	left, err := inRounds(ctx, len(ids), tries, func(some []int) ([]int, error) { return rs.readSome(ctx, ids, some, results) })
	for _, i := range left {
		results[i].Err = fmt.Errorf("get %s: %w", ids[i], err)
	}
	return results
}

// readSome reads some of the records with one list. It reads again alone what the list did not
// find, since some drivers report items as missing that they were only throttled on, and the second
// of two that have the same id.
func (rs Records[R]) readSome(ctx context.Context, ids []string, some []int, results []Result[R]) (left []int, trouble error) {
	list, seen := rs.Docs.Actions(), make(map[string]bool, len(some))
	docs := make([]*Doc, 0, len(some))
	var at, alone []int // of each action in the list, the index of its record
	for _, i := range some {
		if seen[ids[i]] {
			alone = append(alone, i)
			continue
		}
		if err := CheckID(ids[i]); err != nil {
			results[i] = Result[R]{Err: fmt.Errorf("get: %w: %w", rs.notFound(), err)}
			continue
		}
		d := &Doc{ID: ids[i]}
		list.Get(d, dataFields...)
		at, docs, seen[ids[i]] = append(at, i), append(docs, d), true
	}
	errs, vague := answers(list.Do(ctx), len(at))
	for n, i := range at {
		switch f, err := classify(ctx, errs[n]); {
		case f == faultNone:
			results[i] = rs.result(docs[n])
		case f == faultUnknown:
			left, trouble = append(left, i), err
		case f == faultFinal && !vague:
			results[i] = Result[R]{Err: fmt.Errorf("get %s: %w", ids[i], err)}
		default:
			alone = append(alone, i)
		}
	}
	for _, i := range alone {
		d := &Doc{ID: ids[i]}
		f, err := classify(ctx, rs.Docs.Get(ctx, d, dataFields...))
		switch f {
		case faultNone:
			results[i] = rs.result(d)
		case faultMissing:
			results[i] = Result[R]{Err: fmt.Errorf("get %s: %w", ids[i], rs.notFound())}
		case faultFinal:
			results[i] = Result[R]{Err: fmt.Errorf("get %s: %w", ids[i], err)}
		default:
			left, trouble = append(left, i), err
		}
	}
	return left, trouble
}

// result is the record of a document that was read, unless it counts as deleted.
func (rs Records[R]) result(d *Doc) Result[R] {
	r, err := rs.Decode(d)
	if err == nil && rs.expired(r) {
		return Result[R]{Err: fmt.Errorf("get %s: %w", d.ID, rs.hasExpired()), size: len(d.Data)}
	}
	return Result[R]{Record: r, Err: err, size: len(d.Data)}
}
