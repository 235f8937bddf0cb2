package store

import (
	"cmp"
	"context"
	"fmt"
)

// ExpiresField is the field by which a store deletes documents by itself. It is present on ended jobs only, and only
// where Options.TTL says that the store does that.
const ExpiresField = "expires"

// TTL says whether a store deletes documents by itself when their time has come, and in which form it wants that time.
type TTL int

// The forms.
const (
	// TTLNone: it does not, and sweep removes what is past its retention.
	TTLNone TTL = iota
	// TTLSeconds: a number of seconds since 1970, as DynamoDB wants it.
	TTLSeconds
	// TTLTime: a date, as MongoDB and Firestore want it.
	TTLTime
)

// String names the form.
func (t TTL) String() string {
	if t < TTLNone || t > TTLTime {
		return fmt.Sprintf("TTL(%d)", int(t))
	}
	return [...]string{"none", "seconds", "time"}[t]
}

// value is the field that makes the store delete a document at a time, or a little later; nil for never.
func (t TTL) value(at Time) any {
	switch {
	case at == 0:
		return nil
	case t == TTLSeconds:
		return (int64(at) + 999) / 1000 // rounded up: not to go before
	default:
		return at.Time()
	}
}

// leave decides who removes an ended job: the store, if it deletes by itself and nothing else must go with the record;
// else sweep, which needs an entry in the due index for it. Whoever writes a record decides anew, so that processes
// with the option and without may share a collection.
func (j Job) leave(ttl TTL) Job {
	had := j.Expires != 0
	j.Expires = 0
	if !j.State.Final() || len(j.Outbox) > 0 || j.Policy.Retention <= 0 {
		return j
	}
	end := j.Ended + Time(j.Policy.Retention)
	switch {
	case ttl != TTLNone && !j.HasFiles():
		j.Expires, j.Due = end, 0
	case had:
		j.Due = end
	}
	return j
}

// Gone reports whether the record is past its expiry. Stores take their time to delete it, DynamoDB some days: until
// then it counts as deleted all the same.
func (j Job) Gone(now Time) bool { return j.Expires != 0 && j.Expires <= now }

// gone is Job.Gone by the store's clock.
func (s *Store) gone(j Job) bool { return j.Gone(At(s.opts.Now())) }

// errExpired: the record is past its expiry, and not yet deleted.
var errExpired = fmt.Errorf("%w: it has expired", ErrNotFound)

// present decodes a document, unless its job counts as deleted.
func (s *Store) present(r *record) (Job, error) {
	j, err := decode(r)
	if err == nil && s.gone(j) {
		return Job{ID: r.ID}, fmt.Errorf("get %s: %w", r.ID, errExpired)
	}
	return j, err
}

// Deletion is one record's share of DeleteMany.
type Deletion struct {
	// Gone: the record is deleted, by this call, or, on stores that do not tell, by another before it. False without an
	// error means that it changed meanwhile or was gone.
	Gone bool
	Err  error
}

// DeleteMany removes many jobs whose retention has passed, in lists of up to one hundred. The results are in the order
// of the jobs; each is what Delete would have returned.
func (s *Store) DeleteMany(ctx context.Context, have []Job) []Deletion {
	results := make([]Deletion, len(have))
	tries := s.retries()
	left, err := s.inRounds(ctx, len(have), tries, func(some []int) ([]int, error) {
		return s.deleteSome(ctx, tries, have, some, results)
	})
	for _, i := range left {
		results[i].Err = fmt.Errorf("delete %s: %w", have[i].ID, err)
	}
	return results
}

// deleteSome deletes those of the jobs with one list. A job that is in it twice is deleted once.
func (s *Store) deleteSome(ctx context.Context, tries *tries, have []Job, some []int, results []Deletion) (left []int, trouble error) {
	list, seen := s.coll.Actions(), make(map[string]bool, len(some))
	var at, alone []int // of each action in the list, the index of its job
	for _, i := range some {
		if id := have[i].ID; !seen[id] {
			list.Delete(&record{ID: id, Rev: have[i].rev})
			at, seen[id] = append(at, i), true
		}
	}
	errs, vague := answers(list.Do(ctx), len(at))
	for n, i := range at {
		switch f, err := classify(ctx, errs[n]); {
		case f == faultNone:
			results[i].Gone = true
		case f == faultUnknown:
			left, trouble = append(left, i), err
		case vague: // perhaps another's fault
			alone = append(alone, i)
		case f == faultFinal:
			results[i].Err = fmt.Errorf("delete %s: %w", have[i].ID, err)
		}
	}
	apart, err := oneByOne(alone, func(i int) error {
		results[i].Gone, results[i].Err = s.remove(ctx, tries, have[i])
		return results[i].Err
	})
	return append(left, apart...), cmp.Or(err, trouble)
}
