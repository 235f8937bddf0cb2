package pubsubq

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	// openTime bounds the opening of a topic or subscription. It is longer than the timeout of a
	// Send, which would never succeed if opening took longer.
	openTime = 30 * time.Second
	// shutdownGrace bounds the shutdown of a topic or subscription that may be dead.
	shutdownGrace = 5 * time.Second
	// closeTime is what Within adds when ctx has ended: closing a live connection takes no longer.
	closeTime = time.Second
)

// Within calls f and waits for it, until a second after the end of ctx. Then it returns the error
// of ctx, and f continues in the background. Drivers dial and close without a context, which takes
// long if the broker does not answer.
func Within(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return ctx.Err()
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// pause is the exponential backoff between attempts to open a topic or subscription. Its jitter
// keeps many instances from coming back to a broker at the same time. The zero value allows an
// attempt now.
type pause struct {
	policy *backoff.ExponentialBackOff
	until  time.Time
	err    error // the last failure
}

const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 10 * time.Second
)

// failed begins a longer pause after a failure.
func (p *pause) failed(err error) {
	if p.policy == nil {
		p.policy = backoff.NewExponentialBackOff(
			backoff.WithInitialInterval(shortestPause),
			backoff.WithMaxInterval(longestPause),
			backoff.WithMultiplier(2),
			backoff.WithRandomizationFactor(0.5),
			backoff.WithMaxElapsedTime(0)) // no limit
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
