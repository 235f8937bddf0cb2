// Package worker runs jobs in a resident process: it pulls messages from queues, claims the jobs that they name in
// bulk, runs their handlers side by side up to a limit, and sweeps.
//
//	w, err := worker.New(rt, lanes, submit, &worker.Options{Concurrency: 100})
//	...
//	err = w.Run(ctx) // until ctx ends, then drains
//
// # Slots
//
// A worker has Options.Concurrency slots, and takes no more messages from its queues than slots are free. The slots
// go round the lanes (the queues it pulls from): a lane that waits for one gets the next that becomes free, whatever
// another lane has waiting. A lane that has nothing to do gives its slots up as soon as another needs them. The slot of a
// job whose handler was left behind is free when the attempt has ended, or when the handler has returned if there are
// Options.Concurrency others that have not.
//
// # Acknowledging
//
// It happens here and nowhere else. The message of a job is acknowledged once the job is claimed: from then on the
// record tells that it runs, and sweep finds it if this process dies; the message has nothing to add. A message that
// cannot be handled here is given back after a while, which costs no slot.
//
// # Ending
//
// When the context of Run ends, the worker stops receiving and tells running handlers through DeadlineNear. They
// have Options.DrainGrace to finish. Then their contexts are cancelled with ErrShutdown, and jobs whose handlers
// return go back to the queue, with their checkpoints and without having used an attempt. A handler that does not
// return is left behind after the runtime's StopGrace. [Worker.Leave] ends all this at once: what still runs then is
// found by sweep when its lease has run out. Nothing that was accepted is lost in any of these ways.
//
// # When the store is away
//
// Receiving pauses, longer each time, and goes on by itself. Running jobs go on too, as far as their leases carry.
//
// # Where things are
//
// worker.go has the life of a worker, options.go its knobs, lane.go the pull loop of a queue, slots.go the limit that
// the lanes share, lazy.go the handlers that were left behind, held.go the messages to give back later, submit.go the loop of the submit queue, sweeper.go the
// sweeps.
package worker
