package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// CreateMany writes many new records, in lists of up to one hundred. The results are in the order
// of the records; each is what Create would have returned.
func (rs Records[R]) CreateMany(ctx context.Context, tries *Tries, records []R) []Result[R] {
	results := make([]Result[R], len(records))
	for i := range records {
		rs.nonce(&records[i])
		results[i].Record = records[i]
	}
	left, err := inRounds(ctx, len(records), tries, func(some []int) ([]int, error) {
		return rs.createSome(ctx, tries, records, some, results)
	})
	for _, i := range left {
		results[i].Err = fmt.Errorf("create %s: %w", *rs.Head(&records[i]).ID, err)
	}
	return results
}

// createSome creates some of the records with one list.
func (rs Records[R]) createSome(
	ctx context.Context, tries *Tries, records []R, some []int, results []Result[R],
) (left []int, trouble error) {
	list, seen := rs.Docs.Actions(), make(map[string]bool, len(some))
	docs := make([]*Doc, 0, len(some))
	var at, twice, alone []int // of each action in the list, the index of its record
	for _, i := range some {
		if id := *rs.Head(&records[i]).ID; seen[id] {
			twice = append(twice, i)
			continue
		}
		rs.stamp(&records[i])
		results[i].Record = records[i]
		var d *Doc
		if _, d, results[i].Err = rs.encode(*new(R), records[i]); results[i].Err == nil {
			list.Create(d)
			at, docs, seen[d.ID] = append(at, i), append(docs, d), true
		}
	}
	errs, vague := answers(list.Do(ctx), len(at))
	for n, i := range at {
		switch f, err := classify(ctx, errs[n]); {
		case f == faultNone:
			*rs.Head(&results[i].Record).Rev = docs[n].Rev
		case f == faultFinal && vague: // perhaps the fault of another action
			alone = append(alone, i)
		case f == faultFinal:
			results[i].Err = fmt.Errorf("create %s: %w", docs[n].ID, err)
		case f == faultUnknown && !vague:
			left, trouble = append(left, i), err // if it was applied, the next try finds it
		default:
			twice = append(twice, i)
			trouble = err
		}
	}
	unsettled, expired, err := rs.created(ctx, records, twice, results)
	trouble = cmp.Or(err, trouble)
	apart, err := oneByOne(append(alone, expired...), func(i int) error {
		results[i].Record, results[i].Err = rs.Create(ctx, tries, records[i])
		return results[i].Err
	})
	return slices.Concat(left, unsettled, apart), cmp.Or(err, trouble)
}

// created finds out which of some records are stored, and who created them. left are those that are
// not stored and may be created. expired are those in whose place there is a record that has
// expired.
func (rs Records[R]) created(
	ctx context.Context, records []R, some []int, results []Result[R],
) (left, expired []int, trouble error) {
	if len(some) == 0 {
		return nil, nil, nil
	}
	ids, all := make([]string, len(some)), make([]int, len(some))
	for n, i := range some {
		ids[n], all[n] = *rs.Head(&records[i]).ID, n
	}
	there := make([]Result[R], len(some))
	unread, trouble := rs.readSome(ctx, ids, all, there)
	for _, n := range unread {
		there[n].Err = ErrNotFound // creating it tells as well
	}
	for n, i := range some {
		switch r := there[n]; {
		case isExpired(r.Err):
			expired = append(expired, i)
		case errors.Is(r.Err, ErrNotFound):
			left = append(left, i)
		case r.Err != nil || rs.sameNonce(&r.Record, rs.nonce(&records[i])):
			results[i] = r
		default:
			results[i] = Result[R]{Record: r.Record, Err: fmt.Errorf("create %s: %w", ids[n], ErrExists)}
		}
	}
	return left, expired, trouble
}

// ChangeMany changes many records, with one list of reads and one of writes for each hundred. step
// is given the index of the record. The results are in the order of the ids; each is what Change
// would have returned. After ErrUnavailable the write may have been applied.
func (rs Records[R]) ChangeMany(
	ctx context.Context, tries *Tries, ids []string, step func(i int, cur R) (R, bool, error),
) []Result[R] {
	results := make([]Result[R], len(ids))
	left, err := inRounds(ctx, len(ids), tries, func(some []int) ([]int, error) {
		return rs.changeSome(ctx, tries, ids, step, some, results)
	})
	for _, i := range left {
		results[i].Err = fmt.Errorf("write %s: %w", ids[i], err)
	}
	return results
}

// changeSome changes some of the records with one list of reads and one of writes.
func (rs Records[R]) changeSome(
	ctx context.Context, tries *Tries, ids []string, step func(i int, cur R) (R, bool, error), some []int, results []Result[R],
) (left []int, trouble error) {
	left, trouble = rs.readSome(ctx, ids, some, results)
	unread := make(map[int]bool, len(left))
	for _, i := range left {
		unread[i] = true
	}
	list, seen := rs.Docs.Actions(), make(map[string]bool, len(some))
	var docs []*Doc
	var nexts []R
	var at, alone []int
	stepOf := func(i int) Step[R] { return func(cur R) (R, bool, error) { return step(i, cur) } }
	for _, i := range some {
		if unread[i] || results[i].Err != nil {
			continue
		}
		if seen[ids[i]] {
			alone = append(alone, i)
			continue
		}
		have := results[i].Record
		next, changed, err := rs.step(have, stepOf(i))
		if err != nil || !changed {
			results[i].Err = err
			continue
		}
		rs.stamp(&next)
		next, d, err := rs.encode(have, next)
		if results[i].Err = err; err == nil {
			list.Update(d, rs.mods(have, d))
			at, docs, nexts, seen[ids[i]] = append(at, i), append(docs, d), append(nexts, next), true
		}
	}
	errs, vague := answers(list.Do(ctx), len(at))
	for n, i := range at {
		switch f, err := classify(ctx, errs[n]); {
		case f == faultNone:
			*rs.Head(&nexts[n]).Rev = docs[n].Rev
			results[i].Record = nexts[n]
		case f == faultUnknown || vague && f != faultFinal:
			left, trouble = append(left, i), err
		default:
			alone = append(alone, i)
		}
	}
	apart, err := oneByOne(alone, func(i int) error {
		var stored R
		*rs.Head(&stored).ID = ids[i]
		results[i].Record, results[i].Err = rs.Change(ctx, tries, stored, stepOf(i))
		return results[i].Err
	})
	return append(left, apart...), cmp.Or(err, trouble)
}

// Removal is one record's share of RemoveMany.
type Removal struct {
	// Gone: the record is deleted, by this call or, on stores that do not tell, by another before
	// it. False without an error means that the record changed meanwhile or was gone.
	Gone bool
	Err  error
}

// RemoveMany deletes many records, in lists of up to one hundred. The results are in the order of
// the records; each is what Remove would have returned. A record that is given twice is deleted
// once.
func (rs Records[R]) RemoveMany(ctx context.Context, tries *Tries, have []R) []Removal {
	results := make([]Removal, len(have))
	left, err := inRounds(ctx, len(have), tries, func(some []int) ([]int, error) {
		return rs.removeSome(ctx, tries, have, some, results)
	})
	for _, i := range left {
		results[i].Err = fmt.Errorf("delete %s: %w", *rs.Head(&have[i]).ID, err)
	}
	return results
}

// removeSome deletes some of the records with one list.
func (rs Records[R]) removeSome(
	ctx context.Context, tries *Tries, have []R, some []int, results []Removal,
) (left []int, trouble error) {
	list, seen := rs.Docs.Actions(), make(map[string]bool, len(some))
	var at, alone []int // of each action in the list, the index of its record
	for _, i := range some {
		if h := rs.Head(&have[i]); !seen[*h.ID] {
			list.Delete(&Doc{ID: *h.ID, Rev: *h.Rev})
			at, seen[*h.ID] = append(at, i), true
		}
	}
	errs, vague := answers(list.Do(ctx), len(at))
	for n, i := range at {
		switch f, err := classify(ctx, errs[n]); {
		case f == faultNone:
			results[i].Gone = true
		case f == faultUnknown:
			left, trouble = append(left, i), err
		case vague: // perhaps the fault of another action
			alone = append(alone, i)
		case f == faultFinal:
			results[i].Err = fmt.Errorf("delete %s: %w", *rs.Head(&have[i]).ID, err)
		}
	}
	apart, err := oneByOne(alone, func(i int) error {
		results[i].Gone, results[i].Err = rs.Remove(ctx, tries, have[i])
		return results[i].Err
	})
	return append(left, apart...), cmp.Or(err, trouble)
}
