package pubsubq

import (
	"context"
	"time"
)

const (
	// openTime is the most that opening a topic or subscription may take. It is longer than one Send waits: a broker
	// that is slow to join would otherwise never be joined.
	openTime = 30 * time.Second
	// shutdownGrace bounds the shutdown of something that may be dead.
	shutdownGrace = 5 * time.Second
	// closeTime is what closing a connection gets when there is no time left: closing one that lives takes no longer.
	closeTime = time.Second
)

// Within calls f and waits for it until ctx ends, and a moment longer; then it returns the error of ctx. Drivers dial and
// close with calls that know no context, and against a broker that does not answer they take long; such a call is left
// to end by itself.
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
