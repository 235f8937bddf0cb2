package store

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/store/internal/engine"
)

// Options configures a Store. The zero value of each field means its default.
type Options struct {
	Timing Timing
	// Rand gives the tokens by which a verb recognises its own writes, and the jitter of pauses.
	// Default math/rand/v2.
	Rand func() uint64
	// Pause waits d or until the context ends. Default: a timer.
	Pause func(ctx context.Context, d time.Duration) error
	// TTL says whether the store deletes documents by itself by their field ExpiresField. Default
	// TTLNone.
	TTL TTL
	// Now is the clock by which a record is past its expiry. Default time.Now.
	Now func() time.Time
	// Patience is how long a verb goes on against a store that does not answer. Default 30 seconds.
	Patience time.Duration
	// MaxRecord is the longest encoded record in bytes; a submission or a checkpoint may fill seven
	// eighths of it. Default MaxRecord, the constant.
	MaxRecord int
}

// Store reads and writes the records of one collection. It holds no state of its own and is safe
// for concurrent use.
type Store struct {
	opts   Options
	coll   *engine.Collection
	jobs   engine.Records[Job]
	kinds  engine.Records[directory]
	parked engine.Records[Parked]
}

// New returns a store over the collection, whose key field must be "id" and whose revision field
// must be "rev". The collection stays the caller's to close.
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
	o.MaxRecord = cmp.Or(o.MaxRecord, MaxRecord)
	o.Patience = cmp.Or(o.Patience, 30*time.Second)
	s := &Store{opts: o}
	s.coll = &engine.Collection{Docs: coll, Rand: s.opts.Rand, Pause: s.Pause}
	s.jobs = engine.Records[Job]{Collection: s.coll, Noun: s.jobNoun()}
	s.kinds = engine.Records[directory]{Collection: s.coll, Noun: kindsNoun()}
	s.parked = engine.Records[Parked]{Collection: s.coll, Noun: parkedNoun()}
	return s, nil
}

// In returns a store with the options of s over another collection, such as one in a transaction of
// the caller. It does not wait for a collection that does not answer.
func (s *Store) In(coll *docstore.Collection) *Store {
	o := s.opts
	o.Patience = time.Millisecond
	in, _ := New(coll, &o) // the options were checked for s
	return in
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

// tries returns the tries of a verb that has all of Options.Patience.
func (s *Store) tries() *engine.Tries { return s.coll.Tries(s.opts.Patience) }
