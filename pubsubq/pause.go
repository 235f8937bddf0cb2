package pubsubq

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// pause spaces out attempts to open something that fails: exponentially and with jitter, so that many instances do not
// come back to a broker all at once. The zero value allows an attempt now.
type pause struct {
	policy *backoff.ExponentialBackOff
	until  time.Time
	err    error // the last failure
}

const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 10 * time.Second
)

// failed notes a failure and begins a longer pause.
func (p *pause) failed(err error) {
	if p.policy == nil {
		p.policy = backoff.NewExponentialBackOff(
			backoff.WithInitialInterval(shortestPause),
			backoff.WithMaxInterval(longestPause),
			backoff.WithMultiplier(2),
			backoff.WithRandomizationFactor(0.5),
			backoff.WithMaxElapsedTime(0)) // for ever
	}
	p.err = err
	p.until = time.Now().Add(p.policy.NextBackOff())
}

// left returns how long to wait before the next attempt.
func (p *pause) left() time.Duration {
	if p.until.IsZero() {
		return 0
	}
	return time.Until(p.until)
}
