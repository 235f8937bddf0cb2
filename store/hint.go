package store

import (
	"errors"
	"time"
)

// Hint is an error with which a store says how long to wait before it is asked again, as Azure Cosmos DB does when it
// throttles. A collection may give it alone or wrapped: it is found with errors.As. The next try of a verb comes no sooner,
// and somewhat later, by chance, so that callers who were told the same do not all come back at once. What it says
// never makes a verb wait beyond its patience.
type Hint interface {
	error
	// RetryAfter is how long to wait. Nothing, or less: it does not say.
	RetryAfter() time.Duration
}

// waitFor is how long to wait after err: at least as long as it says, if it does, and otherwise own. left is what remains of
// patience, and chance anything: it picks from the pauses that are possible.
func waitFor(err error, own, left time.Duration, chance uint64) time.Duration {
	hint, ok := errors.AsType[Hint](err)
	if !ok || hint.RetryAfter() <= 0 || left <= own {
		return own
	}
	least := min(hint.RetryAfter(), left-left/8) // some room for chance, also if it says too much
	spread := min(max(own, least/2), left-least)
	return max(own, least+time.Duration(chance%uint64(spread+1)))
}
