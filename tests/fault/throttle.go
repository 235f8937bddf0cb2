package fault

import (
	"context"
	"sync"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/relay"
)

// Throttle stands in front of a collection and refuses what Admit does not let through, in the way of the store whose
// Flavour it has. It is safe for concurrent use if Admit is.
//
// What it answers is what gocloud's drivers make of the stores' answers, which the module tests/servers checks on the
// wire:
//
//	Dynamo      ProvisionedThroughputExceededException is ResourceExhausted, ThrottlingException is Unknown; writes
//	            one by one, a bulk read as a whole
//	Mongo       16500, also from Cosmos DB instead of 429, is Unknown; of a bulk write some are done and some are
//	            not, and each of these is an error at index -1; it says to wait for RetryAfter
//	Firestore   RESOURCE_EXHAUSTED is ResourceExhausted, UNAVAILABLE and ABORTED are Unknown; writes one by one, a
//	            bulk read as a whole
//	Memory      as Dynamo
type Throttle struct {
	Flavour Flavour
	// Admit says whether n documents may be read, or one written or asked for by a query.
	Admit func(ctx context.Context, op Op, n int) bool

	mu    sync.Mutex
	tally Tally
}

// RetryAfter is how long a refusal of flavour Mongo says to wait, which our driver for it makes a store.Hint.
const RetryAfter = 34 * time.Millisecond

// Tally counts documents: a bulk read of ten is ten.
type Tally struct{ Asked, Refused int }

// Tally returns what was counted so far.
func (t *Throttle) Tally() Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tally
}

// Collection returns the collection to use instead of inner.
func (t *Throttle) Collection(inner *docstore.Collection) *docstore.Collection {
	return relay.New(inner, relay.Hooks{Actions: t.actions, Query: t.query, Code: codeOf})
}

// admit asks for n documents and counts.
func (t *Throttle) admit(ctx context.Context, op Op, n int) error {
	ok := t.Admit(ctx, op, n)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tally.Asked += n
	if ok {
		return nil
	}
	t.tally.Refused += n
	return t.refusal()
}

// refusal is the error of the store. The caller holds mu.
func (t *Throttle) refusal() error {
	other := t.tally.Refused%2 == 0
	switch t.Flavour {
	case Mongo:
		return &Error{
			Code: gcerrors.Unknown, Wait: RetryAfter,
			Text: "Error=16500, RetryAfterMs=34, Details='Response status code does not indicate success: TooManyRequests (429)'",
		}
	case Firestore:
		if other {
			return newError(gcerrors.Unknown, "rpc error: code = Aborted desc = Too much contention on these documents. Please try again.")
		}
		return newError(gcerrors.ResourceExhausted, "rpc error: code = ResourceExhausted desc = Quota exceeded.")
	default:
		if other {
			return newError(gcerrors.Unknown, "ThrottlingException: Rate of requests exceeds the allowed throughput.")
		}
		return newError(gcerrors.ResourceExhausted, "ProvisionedThroughputExceededException: The level of configured provisioned throughput was exceeded.")
	}
}

func (t *Throttle) actions(ctx context.Context, actions []*driver.Action, next relay.Run) driver.ActionListError {
	var through, reads []*driver.Action
	var errs driver.ActionListError
	fail := func(index int, err error) {
		errs = append(errs, driver.ActionListError{{Index: index, Err: err}}...)
	}
	for _, a := range actions {
		if a.Kind == driver.Get {
			reads = append(reads, a)
			continue
		}
		key, _ := a.Key.(string)
		err := t.admit(ctx, Op{"docs", verbs[a.Kind], key}, 1)
		switch {
		case err == nil:
			through = append(through, a)
		case t.Flavour == Mongo:
			fail(-1, err)
		default:
			fail(a.Index, err)
		}
	}
	if len(reads) > 0 {
		key, _ := reads[0].Key.(string)
		if err := t.admit(ctx, Op{"docs", "get", key}, len(reads)); err != nil {
			for _, a := range reads {
				fail(a.Index, err)
			}
		} else {
			through = append(through, reads...)
		}
	}
	if len(through) == 0 {
		return errs
	}
	return append(next(ctx, through), errs...)
}

func (t *Throttle) query(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error) {
	if err := t.admit(ctx, Op{"docs", "query", q.OrderByField}, 1); err != nil {
		return nil, err
	}
	return next(ctx, q)
}

// Bucket admits a bounded rate: documents take tokens, which come in steadily up to a bound. It goes by the clock of
// package time, so in a bubble of synctest by simulated time. It is safe for concurrent use.
type Bucket struct {
	Rate  float64 // tokens a second
	Burst float64 // the most there can be
	// Chance is how many of ten thousand requests are refused whatever there is, and Rand decides which. Nil: none.
	Chance func() uint64
	Rand   func() uint64

	mu     sync.Mutex
	tokens float64
	at     time.Time
}

// Admit takes n tokens if they are there.
func (b *Bucket) Admit(_ context.Context, _ Op, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.at.IsZero() {
		b.tokens = b.Burst
	} else {
		b.tokens = min(b.Burst, b.tokens+b.Rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.tokens < float64(n) || b.Chance != nil && b.Rand()%10_000 < b.Chance() {
		return false
	}
	b.tokens -= float64(n)
	return true
}
