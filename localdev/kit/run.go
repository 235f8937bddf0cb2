package kit

import (
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
)

const (
	// drainLimit is how many messages one Drain handles. A job that needs more never ends.
	drainLimit = 100_000
	// stuckAfter limits a handler in real time.
	stuckAfter = 20 * time.Second
	// quick is how long a handler may take in real time whatever its timeout is, because the machine
	// may be busy.
	quick = 100 * time.Millisecond
	// farAhead limits how far Wait moves the clock.
	farAhead = 10 * 366 * 24 * time.Hour
)

// Drain runs all jobs that can run now, and those that they submit, and returns the number of
// attempts.
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
	if k.opts.wall {
		done := make(chan functions.Outcome, 1)
		c.Attempt.Start(k.context(), nil, func(out functions.Outcome) { done <- out })
		<-done // a bubble detects a deadlock itself
		return true
	}
	timeout := func() time.Duration { return time.Duration(k.Job(msg.ID).Limits.Timeout) }
	if late := runInTime(func() { c.Attempt.Run(k.context()) }, timeout); late != "" {
		k.t.Fatalf("%s:\n%s", late, History(k.Job(msg.ID)))
	}
	return true
}

// runInTime calls run, which runs a handler, and says what is wrong if that takes longer in real time
// than the timeout of the attempt, or than stuckAfter: the kit's clock stands still meanwhile, so it
// ends no attempt. The run then goes on in the background. timeout is called for slow handlers only.
func runInTime(run func(), timeout func() time.Duration) string {
	done := make(chan struct{})
	go func() { defer close(done); run() }()
	if returns(done, quick) {
		return ""
	}
	limit := max(timeout(), quick)
	if returns(done, min(limit, stuckAfter)-quick) {
		return ""
	}
	const hint = "; if it sleeps or waits for the clock, use kit.WallClock in a bubble of testing/synctest, where that takes no real time"
	if limit < stuckAfter {
		return fmt.Sprintf("the handler of this job ran for longer than its timeout of %v in real time, and in production it would "+
			"have been stopped%s", limit, hint)
	}
	return fmt.Sprintf("the handler of this job did not return within %v of real time%s; if it waits for another job, that cannot "+
		"run meanwhile", stuckAfter, hint)
}

// returns reports whether done is closed within d of real time.
func returns(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// Advance moves the clock by d. It stops whenever something is due and runs it: a delayed message,
// a retry, a schedule, a lease that ran out, a record to remove.
func (k *Kit) Advance(d time.Duration) {
	k.t.Helper()
	until := k.Now().Add(d)
	for k.step(until) {
	}
	k.desk.move(until)
	k.settle()
}

// step runs what can run now and moves the clock to what is due next; false if nothing is due until
// then.
func (k *Kit) step(until time.Time) bool {
	k.t.Helper()
	k.settle()
	at, ok, err := k.desk.event(k.context(), k.store, until)
	if err != nil {
		k.t.Fatalf("kit: %v", err)
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

// Wait moves the clock until a job has ended, and returns the job. The test fails if the job waits
// for something other than time.
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
			k.t.Fatalf("the job does not end, however far the clock moves:\n%s", History(info))
		}
	}
}
