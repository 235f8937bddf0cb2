package engine

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/docstore"
)

// Step is a pure transition. It takes the record as it is stored and returns the record as it
// should be. It reports false if there is nothing to write, for instance because it was done
// before. It must not change what the old record refers to.
type Step[R any] func(cur R) (next R, changed bool, err error)

// Get reads a record by its id, strongly consistent. It returns ErrNotFound, also for a record that
// is past its expiry; ErrNewerRecord or ErrCorrupt, with the record as far as it can be read; or
// ErrUnavailable.
func (rs Records[R]) Get(ctx context.Context, tries *Tries, id string) (R, error) {
	var none R
	if err := CheckID(id); err != nil {
		return none, fmt.Errorf("get: %w: %w", rs.notFound(), err)
	}
	r, err := rs.fetch(ctx, tries, id)
	if err == nil && rs.expired(r) {
		return none, fmt.Errorf("get %s: %w", id, rs.hasExpired())
	}
	return r, err
}

// fetch reads a record, also one that is past its expiry.
func (rs Records[R]) fetch(ctx context.Context, tries *Tries, id string) (R, error) {
	for {
		d := &Doc{ID: id} // fresh each time: drivers leave a failed read's document half filled
		f, err := classify(ctx, rs.Docs.Get(ctx, d, dataFields...))
		switch f {
		case faultNone:
			return rs.Decode(d)
		case faultMissing:
			err = rs.notFound()
		case faultUnknown, faultConflict:
			if err = tries.again(ctx, err); err == nil {
				continue
			}
		}
		var none R
		return none, fmt.Errorf("get %s: %w", id, err)
	}
}

// Create writes a new record. If there is a record with its id already, Create returns that record
// with ErrExists, unless both have the same nonce: then it is the same write, done before, which is
// no error. A record that is past its expiry is replaced, on condition that no other process does
// so. After ErrUnavailable the record may or may not have been created.
func (rs Records[R]) Create(ctx context.Context, tries *Tries, r R) (R, error) {
	nonce := rs.nonce(&r)
	rs.stamp(&r)
	h := rs.Head(&r)
	var over any // the revision of the expired record to replace; nil: none is in the way
	for {
		_, d, err := rs.encode(*new(R), r)
		if err != nil {
			return r, err
		}
		write := rs.Docs.Create
		if over != nil {
			d.Rev, write = over, rs.Docs.Replace
		}
		f, err := classify(ctx, write(ctx, d))
		switch f {
		case faultNone:
			*h.Rev = d.Rev
			return r, nil
		case faultFinal:
			return r, fmt.Errorf("create %s: %w", d.ID, err)
		case faultConflict, faultMissing:
			there, rerr := rs.fetch(ctx, tries, d.ID)
			replaced := over != nil
			over = nil
			switch {
			case rerr == nil && rs.sameNonce(&there, nonce):
				return there, nil
			case rerr == nil && rs.expired(there):
				if over = *rs.Head(&there).Rev; !replaced {
					continue // nothing has failed yet
				}
			case rerr == nil:
				return there, fmt.Errorf("create %s: %w", d.ID, ErrExists)
			case !errors.Is(rerr, ErrNotFound):
				return there, rerr
			}
		}
		if err := tries.again(ctx, err); err != nil {
			return r, fmt.Errorf("create %s: %w", d.ID, err)
		}
	}
}

// nonce gives a record the token of its creation, unless it has one, and returns it; "" if the noun
// has none.
func (rs Records[R]) nonce(r *R) string {
	n := rs.Head(r).Nonce
	if n == nil {
		return ""
	}
	if *n == "" {
		*n = rs.Token()
	}
	return *n
}

// sameNonce reports whether a stored record is the one that was created with the nonce.
func (rs Records[R]) sameNonce(there *R, nonce string) bool {
	return nonce != "" && *rs.Head(there).Nonce == nonce
}

// freeRaces is how many races a verb may lose before it pauses between its tries: others write the
// same record, or the store refuses every write, which must not become a busy loop.
const freeRaces = 3

// Change is how every existing record changes. It applies step to have, or to the stored record if
// have was never stored and has only an id, and writes the result on condition that no other
// process wrote meanwhile. If one did, Change reads and applies step again.
//
// It returns the record as it is now stored. If the process dies inside, the write has happened or
// not. If the answer is lost, the same write is tried again. If it had been applied, the second
// write loses the race against the first, and the write's token in the record tells. What the token
// does not tell, because others wrote since, step must: it reports false for what it has done
// before.
func (rs Records[R]) Change(ctx context.Context, tries *Tries, have R, step Step[R]) (R, error) {
	cur, h := have, rs.Head(&have)
	id := *h.ID
	if *h.Rev == nil {
		var err error
		if cur, err = rs.Get(ctx, tries, id); err != nil {
			return cur, err
		}
	}
	for races := 0; ; races++ {
		next, changed, err := rs.step(cur, step)
		if err != nil || !changed {
			return cur, err
		}
		write := rs.stamp(&next)
		written, f, err := rs.put(ctx, tries, cur, next)
		switch f {
		case faultNone:
			return written, nil
		case faultUnknown, faultFinal:
			return cur, err
		}
		fresh, rerr := rs.fetch(ctx, tries, id)
		switch {
		case rerr != nil:
			return cur, rerr
		case write != "" && *rs.Head(&fresh).Write == write:
			return fresh, nil
		case rs.expired(fresh):
			return cur, fmt.Errorf("write %s: %w", id, rs.hasExpired())
		}
		cur = fresh
		if races >= freeRaces {
			if err := tries.again(ctx, err); err != nil {
				return cur, fmt.Errorf("write %s: %w", id, err)
			}
		}
	}
}

// step applies a step, and completes its result.
func (rs Records[R]) step(cur R, step Step[R]) (R, bool, error) {
	next, changed, err := step(cur)
	if err == nil && changed && rs.Complete != nil {
		next = rs.Complete(next)
	}
	return next, changed, err
}

// put writes next over cur, again if the store does not answer. It does not read in between: a
// store that throttles is spared the read, and if the write was applied after all, the next one
// loses the race against it.
func (rs Records[R]) put(ctx context.Context, tries *Tries, cur, next R) (R, fault, error) {
	for {
		next, d, err := rs.encode(cur, next)
		if err != nil {
			return cur, faultFinal, err
		}
		f, err := classify(ctx, rs.Docs.Update(ctx, d, rs.mods(cur, d)))
		switch f {
		case faultNone:
			*rs.Head(&next).Rev = d.Rev
			return next, f, nil
		case faultFinal:
			return cur, f, fmt.Errorf("write %s: %w", d.ID, err)
		case faultUnknown:
			if err := tries.again(ctx, err); err != nil {
				return cur, f, fmt.Errorf("write %s: %w", d.ID, err)
			}
		default:
			return cur, f, err
		}
	}
}

// Remove deletes a record on condition that it is still as it is in have. False means that it
// changed meanwhile or is gone.
func (rs Records[R]) Remove(ctx context.Context, tries *Tries, have R) (bool, error) {
	h := rs.Head(&have)
	for {
		f, err := classify(ctx, rs.Docs.Delete(ctx, &Doc{ID: *h.ID, Rev: *h.Rev}))
		switch f {
		case faultNone:
			return true, nil
		case faultConflict, faultMissing:
			return false, nil
		case faultFinal:
			return false, fmt.Errorf("delete %s: %w", *h.ID, err)
		}
		if err := tries.again(ctx, err); err != nil {
			return false, fmt.Errorf("delete %s: %w", *h.ID, err)
		}
	}
}

// DeferDue moves a record in the due index and changes nothing else, so that it also works for a
// record that cannot be read. A record that was changed or deleted meanwhile is left alone, which
// is no error. A store that does not answer is not asked again: the record stays due as it was.
func (rs Records[R]) DeferDue(ctx context.Context, have R, duePK, dueSK string) error {
	h := rs.Head(&have)
	f, err := classify(ctx, rs.Docs.Update(ctx, &Doc{ID: *h.ID, Rev: *h.Rev}, docstore.Mods{"due_pk": duePK, "due_sk": dueSK}))
	switch f {
	case faultNone, faultConflict, faultMissing:
		return nil
	default:
		return fmt.Errorf("put off %s: %w", *h.ID, err)
	}
}
