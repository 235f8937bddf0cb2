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

// Options configure a worker. The zero value of each field means its default.
type Options struct {
	// Queues are the queues to pull from. Default: all queues that the registry's handlers and
	// triggers use.
	Queues []string
	// Submit makes the worker take the messages of functions.SubmitQueue too, and make jobs of them.
	Submit bool
	// Concurrency is how many jobs run at once, all queues together. Default 100, which suits
	// handlers that mostly wait for other systems. For handlers that compute, the number of cores
	// is better.
	//
	// A handler that does not return within StopGrace of being told to stop is abandoned: its
	// attempt ends without it. Up to Concurrency abandoned handlers may run beside the handlers of
	// running jobs. Beyond that, each keeps a slot until it returns. When they keep all slots,
	// nothing can be started any more: an error in the log says so, and the process must be
	// restarted.
	Concurrency int
	// PerQueue limits single queues further, by their name.
	PerQueue map[string]int
	// SubmitConcurrency is how many messages of the submit queue are handled at once. Default 32.
	SubmitConcurrency int
	// SubmitKey returns the idempotency key of a message of the submit queue that has none.
	// Default: the broker's id of the message, if the driver knows it; see pubsubq.Origin. Without
	// a key, a redelivery may make a second job. A message for which SubmitKey panics or takes
	// longer than 10 seconds is parked.
	SubmitKey func(*pubsubq.Delivery) string
	// SweepEvery is how often this worker sweeps. Default 1 minute; negative: never.
	SweepEvery time.Duration
	// DrainGrace is how long running jobs have to finish once Run's context has ended. Default 25
	// seconds; negative: none.
	DrainGrace time.Duration
	// OnOutcome, if not nil, is called with the outcome of each message and the name of its queue,
	// for metrics and tests. It must not block. A call that panics or takes longer than 10 seconds
	// is logged.
	OnOutcome func(queue string, out functions.Outcome)
	// Log gets what an operator should know. Default: the runtime's.
	Log *slog.Logger
}

func (o Options) withDefaults(rt *functions.Runtime) Options {
	if o.Queues == nil {
		o.Queues = rt.Registry().Queues()
	}
	o.Queues = slices.Compact(slices.Sorted(slices.Values(o.Queues)))
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

// check returns what cannot work.
func (o Options) check() error {
	var errs []error
	if o.Concurrency < 0 || o.SubmitConcurrency < 0 {
		errs = append(errs, fmt.Errorf("the options Concurrency (%d) and SubmitConcurrency (%d) cannot be negative", o.Concurrency, o.SubmitConcurrency))
	}
	for _, queue := range o.Queues {
		errs = append(errs, functions.CheckQueue(queue))
	}
	for _, queue := range slices.Sorted(maps.Keys(o.PerQueue)) {
		if !slices.Contains(o.Queues, queue) {
			errs = append(errs, fmt.Errorf("PerQueue names queue %q, which this worker does not pull from; it pulls from %q", queue, o.Queues))
		}
		if n := o.PerQueue[queue]; n < 1 {
			errs = append(errs, fmt.Errorf("PerQueue of queue %q is %d: must be at least 1", queue, n))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: worker: %w", functions.ErrConfig, err)
	}
	return nil
}
