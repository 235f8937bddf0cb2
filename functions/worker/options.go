package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
)

// Options are a worker's knobs. The zero value of each field means its default.
type Options struct {
	// Concurrency is how many jobs run at once, all lanes together. Default 100, which suits handlers that wait for
	// others most of the time; for handlers that compute, the number of cores is better.
	//
	// A handler that does not return within StopGrace of being told to stop is left behind: its attempt ends without it. Up to
	// Concurrency such handlers may go on beside those of running jobs. Beyond that, each keeps a slot until it returns. When
	// they keep all slots, nothing can be started any more: an error in the log says so, and the process must be restarted.
	Concurrency int
	// PerLane limits single lanes further, by the name of the queue.
	PerLane map[string]int
	// SubmitConcurrency is how many messages of the submit queue are handled at once. Default 32.
	SubmitConcurrency int
	// SubmitKey gives the idempotency key of a message of the submit queue that brings none. Default: the broker's id of
	// the message, where the driver tells one; see pubsubq.Origin. Without any, a redelivery of such a message may make a
	// second job. A message for which it panics or takes longer than 10 seconds is parked.
	SubmitKey func(*pubsubq.Delivery) string
	// SweepEvery is how often this worker sweeps. Default 1 minute; negative: never.
	SweepEvery time.Duration
	// DrainGrace is how long running jobs have to finish once Run's context has ended. Default 25 seconds; negative:
	// none.
	DrainGrace time.Duration
	// OnOutcome, if not nil, is told what became of each message, by the name of its queue: for figures and tests. It
	// must not block. A call that panics or takes longer than 10 seconds is logged.
	OnOutcome func(queue string, out functions.Outcome)
	// Log gets what an operator should know. Default: the runtime's.
	Log *slog.Logger
}

func (o Options) withDefaults(rt *functions.Runtime) Options {
	if o.Concurrency == 0 {
		o.Concurrency = 100
	}
	if o.SubmitConcurrency == 0 {
		o.SubmitConcurrency = 32
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = time.Minute
	}
	if o.DrainGrace == 0 {
		o.DrainGrace = 25 * time.Second
	}
	if o.Log == nil {
		o.Log = rt.Config().Log
	}
	return o
}

// check refuses what cannot work.
func (o Options) check(lanes map[string]*pubsubq.Receiver) error {
	var errs []error
	if o.Concurrency < 0 || o.SubmitConcurrency < 0 {
		errs = append(errs, fmt.Errorf("the options Concurrency (%d) and SubmitConcurrency (%d) cannot be negative", o.Concurrency, o.SubmitConcurrency))
	}
	for _, queue := range slices.Sorted(maps.Keys(lanes)) {
		if lanes[queue] == nil {
			errs = append(errs, fmt.Errorf("lane %q has no receiver", queue))
		}
	}
	for _, queue := range slices.Sorted(maps.Keys(o.PerLane)) {
		if _, ok := lanes[queue]; !ok {
			errs = append(errs, fmt.Errorf("PerLane names queue %q, which this worker does not pull from; it pulls from %q",
				queue, slices.Sorted(maps.Keys(lanes))))
		}
		if n := o.PerLane[queue]; n < 1 {
			errs = append(errs, fmt.Errorf("PerLane of queue %q is %d: must be at least 1", queue, n))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: worker: %w", functions.ErrConfig, err)
	}
	return nil
}
