package store

import "time"

// AdvanceDue is what sweep does to a record that is due.
type AdvanceDue struct {
	Now   Time
	Delay func(Job) time.Duration // until the next attempt of a job whose attempt was lost
}

// DueAction is what AdvanceDue did.
type DueAction string

// What sweep found to do.
const (
	ActionNothing DueAction = ""        // not due, or nothing left to do
	ActionStarted DueAction = "started" // its time came; send its message
	ActionResent  DueAction = "resent"  // its message may be lost; send it again
	ActionLost    DueAction = "lost"    // its attempt was lost; if it is queued again, send its message
	ActionExpired DueAction = "expired" // its deadline passed
	ActionRearmed DueAction = "rearmed" // its attempt is alive; look again later
	ActionGaveUp  DueAction = "gave up" // its attempt was lost, and the job has ended
)

// advanceDue does the one thing that the state of a live job requires when it is due.
func (j Job) advanceDue(t Timing, l AdvanceDue) (Job, DueAction, error) {
	if j.Due == 0 || j.Due > l.Now || !j.Live() {
		return j, ActionNothing, nil
	}
	if j.State == Running {
		return j.advanceRunning(t, l)
	}
	if j.Expired(l.Now) {
		next, err := j.expire(l.Now)
		return next, ActionExpired, err
	}
	switch {
	case j.State == Queued:
		next, err := j.move(EventResend)
		next.Resends++
		next.Due = j.dueBy(l.Now.Add(t.grace(next.Resends)))
		return next, ActionResent, err
	case (j.State == Scheduled || j.State == Retrying) && j.At <= l.Now:
		next, err := j.move(EventStart)
		next = next.queue(t, l.Now)
		next.Ready = j.At
		return next, ActionStarted, err
	case j.State == Scheduled || j.State == Retrying:
		j.Due = j.dueBy(t.start(j.At, l.Now))
		return j, ActionRearmed, nil
	default: // held and blocked jobs wait for others, until their deadline
		j.Due = j.dueBy(0)
		return j, ActionRearmed, nil
	}
}

// advanceRunning ends an attempt whose lease ran out. Otherwise it makes the job due when the lease
// will.
func (j Job) advanceRunning(t Timing, l AdvanceDue) (Job, DueAction, error) {
	if end := j.Lease.Until.Add(t.Skew); end > l.Now {
		j.Due = end
		return j, ActionRearmed, nil
	}
	next, _, err := j.finish(t, Finish{
		Token: j.Lease.Token, Now: l.Now, Outcome: OutcomeLost, Delay: l.Delay(j), Dirty: true,
		Error: "lost: no heartbeat since " +
			j.Lease.Until.Add(-t.Lease).Time().Format(time.RFC3339),
	})
	if next.State.Final() {
		return next, ActionGaveUp, err
	}
	return next, ActionLost, err
}
