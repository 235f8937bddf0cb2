package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v4"
	"gocloud.dev/docstore"
)

// Collection is a docstore collection, with the randomness and the pauses of its caller. All fields
// are required.
type Collection struct {
	Docs  *docstore.Collection
	Rand  func() uint64                                    // gives tokens and jitter
	Pause func(ctx context.Context, d time.Duration) error // waits d or until the context ends
}

// Token returns a fresh token.
func (c *Collection) Token() string { return strconv.FormatUint(c.Rand(), 36) }

// hint is an error with which a store says how long to wait before the next try: Hint of package
// store.
type hint interface {
	error
	RetryAfter() time.Duration
}

// waitFor returns the pause before the next try after err: the store's hint if it gave one and left
// allows it, else own. left is what remains of the patience, and rnd adds jitter to a hint.
func waitFor(err error, own, left time.Duration, rnd uint64) time.Duration {
	told, ok := errors.AsType[hint](err)
	if !ok || told.RetryAfter() <= 0 || left <= own {
		return own
	}
	least := min(told.RetryAfter(), left-left/8) // leaves room for jitter
	spread := min(max(own, least/2), left-least)
	return max(own, least+time.Duration(rnd%uint64(spread+1)))
}

// Tries counts the tries of a verb against a store that does not answer, with jittered exponential
// pauses between them, until its patience is used up.
type Tries struct {
	// Whole says that patience is for all that the verb does. Otherwise it starts again whenever
	// the store has answered.
	Whole bool

	c        *Collection
	patience time.Duration
	delay    *backoff.ExponentialBackOff
	spent    time.Duration
}

// Tries returns tries whose pauses take patience in total, at most.
func (c *Collection) Tries(patience time.Duration) *Tries {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.MaxElapsedTime = 20*time.Millisecond, 5*time.Second, 0
	b.RandomizationFactor = 0 // again adds jitter from Collection.Rand, for runs that can be repeated
	b.Reset()
	return &Tries{c: c, patience: patience, delay: b}
}

// progress notes that the store answered.
func (t *Tries) progress() {
	if !t.Whole {
		t.spent = 0
	}
}

// again pauses before another try. It returns err with ErrUnavailable when patience is used up or
// ctx ended.
func (t *Tries) again(ctx context.Context, err error) error {
	full, rnd := t.delay.NextBackOff(), t.c.Rand()
	d := full/2 + time.Duration(rnd%uint64(full/2+1))
	d = waitFor(err, d, t.patience-t.spent, rnd)
	if t.spent += d; t.spent > t.patience {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if perr := t.c.Pause(ctx, d); perr != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(matching(ctx, perr), err))
	}
	return nil
}
