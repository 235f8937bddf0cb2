package localdev

import (
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
)

const (
	// drainLimit is how many messages one Drain handles: more than that is a job that never ends.
	drainLimit = 100_000
	// stuckAfter is how long a handler may take in real time.
	stuckAfter = 20 * time.Second
	// farAhead is how far Wait looks into the future.
	farAhead = 10 * 366 * 24 * time.Hour
)

// Drain runs all that can run now, including what that gives rise to, and returns the number of attempts.
func (k *Kit) Drain() int {
	k.t.Helper()
	attempts := 0
	for range drainLimit {
		msg, ok := k.desk.next()
		if !ok {
			return attempts
		}
		if k.execute(msg) {
			attempts++
		}
	}
	busiest := ""
	for id, n := range k.runs {
		if n > k.runs[busiest] {
			busiest = id
		}
	}
	k.t.Fatalf("still busy after %d messages; the job that ran most often, %d times:\n%s", drainLimit, k.runs[busiest],
		History(k.Job(busiest)))
	return attempts
}

// execute handles one message, and reports whether a handler ran.
func (k *Kit) execute(msg pubsubq.Message) bool {
	k.t.Helper()
	c := k.rt.Claim(k.context(), msg)[0]
	if c.Attempt == nil {
		return false
	}
	k.runs[msg.ID]++
	done := make(chan functions.Outcome, 1)
	if k.opts.bubble {
		c.Attempt.Start(k.context(), nil, func(out functions.Outcome) { done <- out })
		<-done // a bubble finds a deadlock by itself
		return true
	}
	go func() { done <- c.Attempt.Run(k.context()) }()
	stuck := time.NewTimer(stuckAfter)
	defer stuck.Stop()
	select {
	case <-done:
	case <-stuck.C:
		k.t.Fatalf("the handler of this job did not return within %v of real time; if it waits for the clock, make the "+
			"kit with InBubble, in synctest.Test; if it waits for another job, that cannot run meanwhile:\n%s",
			stuckAfter, History(k.Job(msg.ID)))
	}
	return true
}

// Advance moves the clock by d, with a stop whenever something is due: a message that was delayed, a retry, a
// schedule, a lease that ran out, a record to be removed. What becomes due runs.
func (k *Kit) Advance(d time.Duration) {
	k.t.Helper()
	until := k.Now().Add(d)
	for k.step(until) {
	}
	k.desk.move(until)
	k.settle()
}

// step runs what can run now, and moves the clock to what is due next; false if nothing is, by then.
func (k *Kit) step(until time.Time) bool {
	k.t.Helper()
	k.settle()
	at, ok, err := k.desk.event(k.context(), k.store, until)
	if err != nil {
		k.t.Fatalf("localdev: %v", err)
	}
	if ok {
		k.desk.move(at)
	}
	return ok
}

// settle sweeps and drains.
func (k *Kit) settle() {
	k.t.Helper()
	k.Drain()
	k.Sweep()
	k.Drain()
}

// Sweep sweeps once, now.
func (k *Kit) Sweep() functions.SweepResult {
	k.t.Helper()
	res, err := k.rt.Sweep(k.context(), functions.SweepRequest{})
	if err != nil {
		k.t.Fatalf("sweep: %v", err)
	}
	return res
}

// Wait moves the clock on until a job has ended, and returns it. The test fails if the job waits for something that
// time does not bring.
func (k *Kit) Wait(id string) functions.Info {
	k.t.Helper()
	for limit := k.Now().Add(farAhead); ; {
		k.settle()
		info := k.Job(id)
		if info.Done() {
			return info
		}
		if !k.step(limit) {
			if info = k.Job(id); info.Done() {
				return info
			}
			k.t.Fatalf("the job does not end by the passing of time:\n%s", History(info))
		}
	}
}
