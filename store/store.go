package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v4"
	"gocloud.dev/docstore"
)

// Options configures a Store. The zero value of each field means its default.
type Options struct {
	Timing Timing
	// Rand gives the tokens that tell this store's writes from those of others. Default math/rand/v2.
	Rand func() uint64
	// Pause waits d or until the context ends. Default: a timer.
	Pause func(ctx context.Context, d time.Duration) error
	// TTL says whether the store deletes documents by itself by their field ExpiresField. Default TTLNone.
	TTL TTL
	// Now is the clock by which a record is past its expiry. Default time.Now.
	Now func() time.Time
	// Patience is how long a verb goes on against a store that does not answer. Default 30 seconds.
	Patience time.Duration
	// MaxRecord is the longest encoded record in bytes; a submission or a checkpoint may fill seven eighths of it.
	// Default MaxRecord, the constant.
	MaxRecord int
}

// Store reads and writes the records of one collection. It holds no state of its own and is safe for concurrent
// use.
type Store struct {
	coll *docstore.Collection
	opts Options
}

// New returns a store over the collection, whose key field must be "id" and whose revision field must be "rev".
// The collection stays the caller's to close.
func New(coll *docstore.Collection, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Timing = o.Timing.withDefaults()
	if err := o.Timing.validate(); err != nil {
		return nil, fmt.Errorf("store timing: %w", err)
	}
	if o.TTL < TTLNone || o.TTL > TTLTime {
		return nil, fmt.Errorf("store expiry: %v: want none, seconds or time", o.TTL)
	}
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // the default of an option, which the simulator sets
	}
	if o.Rand == nil {
		o.Rand = rand.Uint64
	}
	if o.Pause == nil {
		o.Pause = pause
	}
	if o.MaxRecord == 0 {
		o.MaxRecord = MaxRecord
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	return &Store{coll: coll, opts: o}, nil
}

// Timing returns the durations in force.
func (s *Store) Timing() Timing { return s.opts.Timing }

// Pause waits as Options.Pause does.
func (s *Store) Pause(ctx context.Context, d time.Duration) error { return s.opts.Pause(ctx, d) }

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// token returns a fresh token for one write.
func (s *Store) token() string { return strconv.FormatUint(s.opts.Rand(), 36) }

// patiently returns a store that differs in how long it goes on against a store that does not answer.
func (s *Store) patiently(d time.Duration) *Store {
	if d == s.opts.Patience {
		return s
	}
	other := *s
	other.opts.Patience = d
	return &other
}

// claimPatience is how long a claim is tried. A later one would leave too little of its lease, which counts from when
// it was asked for; and of many that are claimed together, the first must not run out while the last are tried.
func (s *Store) claimPatience() time.Duration { return min(s.opts.Patience, s.opts.Timing.Lease/2) }

// leasePatience is how long a write of an attempt is tried: until its lease has run out. Until then nobody else can
// hold the job, and giving up would lose the attempt for nothing. One whose lease has run out, because its process was
// frozen, has a chance all the same: it may still hold the job, and the write tells.
func (s *Store) leasePatience(have Job, now Time) time.Duration {
	if have.Lease == nil {
		return s.opts.Patience
	}
	left := min(have.Lease.Until.Sub(now), s.opts.Timing.Lease) // more is left only by a clock that was set back
	return max(left, min(s.opts.Patience, s.opts.Timing.Lease/3))
}

// retries counts a verb's tries against faults, with jittered exponential pauses up to Options.Patience. A store that says
// how long to wait, with a Hint, is not asked before.
type tries struct {
	s     *Store
	delay *backoff.ExponentialBackOff
	spent time.Duration
	whole bool // patience is for all that a verb does, whether it gets on or not
}

// progress notes that the store answered: patience begins anew.
func (r *tries) progress() {
	if !r.whole {
		r.spent = 0
	}
}

func (s *Store) retries() *tries {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.MaxElapsedTime = 20*time.Millisecond, 5*time.Second, 0
	b.RandomizationFactor = 0 // the jitter comes from Options.Rand, so that a run can be repeated
	b.Reset()
	return &tries{s: s, delay: b}
}

// again pauses before another try, or returns err when patience is at its end.
func (r *tries) again(ctx context.Context, err error) error {
	full, chance := r.delay.NextBackOff(), r.s.opts.Rand()
	d := full/2 + time.Duration(chance%uint64(full/2+1))
	d = waitFor(err, d, r.s.opts.Patience-r.spent, chance)
	if r.spent += d; r.spent > r.s.opts.Patience {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if perr := r.s.opts.Pause(ctx, d); perr != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(matching(ctx, perr), err))
	}
	return nil
}

// Get reads a job by its id, strongly consistent. It gives ErrNotFound, also for one that is past its expiry and not
// yet deleted, ErrNewerRecord (with the job as far as it can be read), ErrCorrupt, or ErrUnavailable after patient tries.
func (s *Store) Get(ctx context.Context, id string) (Job, error) { return s.get(ctx, id, s.retries()) }

// get is Get within the patience of a verb that does more.
func (s *Store) get(ctx context.Context, id string, tries *tries) (Job, error) {
	if err := CheckID(id); err != nil {
		return Job{}, fmt.Errorf("get: %w: %w", ErrNotFound, err)
	}
	r, err := s.read(ctx, id, tries)
	if err != nil {
		return Job{}, fmt.Errorf("get %s: %w", id, err)
	}
	return s.present(r)
}

// fetch is get, which also gives what is past its expiry.
func (s *Store) fetch(ctx context.Context, id string, tries *tries) (Job, error) {
	r, err := s.read(ctx, id, tries)
	if err != nil {
		return Job{}, fmt.Errorf("get %s: %w", id, err)
	}
	return decode(r)
}

// read reads one document, again if the store does not answer.
func (s *Store) read(ctx context.Context, id string, tries *tries) (*record, error) {
	for {
		r := &record{ID: id} // fresh each time: drivers leave a failed read's document half filled
		f, err := classify(ctx, s.coll.Get(ctx, r, dataFields...))
		switch f {
		case faultNone:
			return r, nil
		case faultMissing:
			return nil, ErrNotFound
		case faultFinal:
			return nil, err
		}
		if err := tries.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// change is how every existing record changes. It applies t to the job as it is in have, or as it is stored, and
// writes the result on condition that nobody else wrote meanwhile; if somebody did, it reads and applies t again.
//
// It returns the job as it is now stored. If the process dies inside, the write has happened or not. If the answer
// is lost, the same write is tried again; if it had been applied, that one loses the race against it, and the write's
// token in the record tells; and t, which must report false for what it has done before, tells the rest.
func (s *Store) change(ctx context.Context, id string, have *Job, t transition) (Job, error) {
	return s.changeWithin(ctx, s.retries(), id, have, t)
}

// changeWithin is change within the patience of a verb that does more.
func (s *Store) changeWithin(ctx context.Context, tries *tries, id string, have *Job, t transition) (Job, error) {
	var cur Job
	var err error
	if have != nil && have.Stored() {
		cur = *have
	} else if cur, err = s.get(ctx, id, tries); err != nil {
		return cur, err
	}
	for races := 0; ; races++ {
		next, changed, err := t(cur)
		if err != nil || !changed {
			return cur, err
		}
		next = next.leave(s.opts.TTL)
		next.Write = s.token()
		written, f, err := s.put(ctx, cur, next, tries)
		switch f {
		case faultNone:
			return written, nil
		case faultUnknown, faultFinal:
			return cur, err
		}
		fresh, rerr := s.fetch(ctx, id, tries)
		switch {
		case rerr != nil:
			return cur, rerr
		case fresh.Write == next.Write:
			return fresh, nil
		case s.gone(fresh):
			return cur, fmt.Errorf("write %s: %w", id, errExpired)
		}
		cur = fresh
		if races >= freeRaces {
			if err := tries.again(ctx, err); err != nil {
				return cur, fmt.Errorf("write %s: %w", id, err)
			}
		}
	}
}

// put writes next in place of cur, again if the store does not answer. It does not read in between: a store that
// throttles has better to do, and if the write was applied after all, the next one loses the race against it.
func (s *Store) put(ctx context.Context, cur, next Job, tries *tries) (Job, fault, error) {
	for {
		next, r, err := s.fit(cur, next) // for each try: drivers spoil the revision of a document that they fail to write
		if err != nil {
			return cur, faultFinal, err
		}
		f, err := classify(ctx, s.coll.Update(ctx, r, s.changes(cur, next, r)))
		switch f {
		case faultNone:
			next.rev = r.Rev
			return next, f, nil
		case faultFinal:
			return cur, f, fmt.Errorf("write %s: %w", next.ID, err)
		case faultUnknown:
			if err := tries.again(ctx, err); err != nil {
				return cur, f, fmt.Errorf("write %s: %w", next.ID, err)
			}
		default:
			return cur, f, err
		}
	}
}

// freeRaces is how many races a verb may lose before it pauses between its tries: others are at the same record, or
// the store refuses every write, which must not become a busy loop.
const freeRaces = 3

// remove deletes a document on condition that it is still as j says; false means that it changed or is gone.
func (s *Store) remove(ctx context.Context, tries *tries, j Job) (bool, error) {
	for {
		f, err := classify(ctx, s.coll.Delete(ctx, &record{ID: j.ID, Rev: j.rev}))
		switch f {
		case faultNone:
			return true, nil
		case faultConflict, faultMissing:
			return false, nil
		case faultFinal:
			return false, fmt.Errorf("delete %s: %w", j.ID, err)
		}
		if err := tries.again(ctx, err); err != nil {
			return false, fmt.Errorf("delete %s: %w", j.ID, err)
		}
	}
}
