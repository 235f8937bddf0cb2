package fault

import (
	"context"
	"sync"
	"time"
)

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
