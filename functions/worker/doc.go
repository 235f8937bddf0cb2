// Package worker runs jobs in a resident process: it pulls messages from queues, claims the jobs
// that they name in bulk, runs their handlers side by side up to a limit, and sweeps.
//
//	w, err := worker.New(rt, queues.Receiver, &worker.Options{Concurrency: 100})
//	...
//	err = w.Run(ctx) // until ctx ends, then drains
//
// # Slots
//
// A worker has Options.Concurrency slots, and takes no more messages from its queues than slots are
// free. The queues take turns: a queue that waits for a slot gets the next free one, whatever
// another queue has waiting. A queue without work gives its slots up as soon as another needs them.
// The slot of a job whose handler was abandoned is free when the attempt has ended. If
// Options.Concurrency abandoned handlers still run, it is free when one of these returns.
//
// # Acknowledging
//
// Only the worker acknowledges messages. It acknowledges the message of a job once the job is
// claimed: from then on the record shows that the job runs, and sweep finds it if this process
// dies. A message that cannot be handled here is given back after a while, which costs no slot.
//
// # Ending
//
// When the context of Run ends, the worker stops receiving and tells running handlers through
// DeadlineNear. They have Options.DrainGrace to finish. Then their contexts are cancelled with
// ErrShutdown, and jobs whose handlers return go back to the queue, with their checkpoints and
// without having used an attempt. A handler that does not return is abandoned after the runtime's
// StopGrace. [Worker.Leave] ends all this at once: sweep finds the jobs that still run when their
// leases have run out. No accepted job is lost in any of these ways.
//
// # When the store is away
//
// Receiving pauses, longer each time, and goes on by itself. Running jobs go on too, as far as
// their leases carry.
//
// # Where things are
//
// worker.go has the life of a worker and the goroutines of its handlers, options.go its options,
// puller.go the loop that pulls from a queue, slots.go the limit that the queues share, abandoned.go
// the handlers that were abandoned, held.go the messages to give back later, submit.go the loop of
// the submit queue, sweeper.go the sweeps, loop.go the pauses of all loops, health.go what probes
// ask.
package worker
