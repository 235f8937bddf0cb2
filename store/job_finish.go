package store

import (
	"slices"
	"time"
)

// Finish is how an attempt ends. Which of the fields matter depends on the outcome.
type Finish struct {
	Token   string
	Now     Time
	Outcome Outcome

	Result    Payload   // success
	Outputs   []Output  // success: all outputs of the job, joined
	OutputsIn *Manifest // success: lists the outputs, if they are too many for the record

	Error     string        // error, panic, timeout, lost
	Stack     string        // panic
	Permanent bool          // error: do not try again
	Delay     time.Duration // until the next attempt or, of snooze and continue, the next call

	Reason     string   // skipped
	Checkpoint *Payload // continue, snooze: saved with the same write; nil: as it was
	Open       []Output // with Checkpoint
	OpenIn     []Manifest
	Progress   *Progress // nil: as it was
	Dirty      bool      // the attempt left files that the record does not list
	Hooks      bool      // the process has end hooks for the kind
}

// finish ends the attempt that holds the lease. A cancellation that was requested meanwhile wins
// over every outcome but success and skip: in these two the work is done.
func (j Job) finish(t Timing, f Finish) (Job, bool, error) {
	if !j.holds(f.Token) {
		if a, ok := j.Ran(f.Token); ok && a.endedBy(f) {
			return j, false, nil
		}
		return j, false, ErrLeaseLost
	}
	next := j
	next.Progress = j.Progress.newer(f.Progress)
	if j.Cancel != 0 && f.Outcome != OutcomeSuccess && f.Outcome != OutcomeSkipped {
		f.Outcome = OutcomeCancelled
		f.Dirty = f.Dirty || f.Checkpoint != nil // no record will list its files
	}
	next = next.recordAttempt(f)
	next.Dirty = j.Dirty || f.Dirty
	next.Policy.Hooks = j.Policy.Hooks || f.Hooks
	var err error
	switch f.Outcome {
	case OutcomeSuccess:
		next, err = next.move(EventSucceed)
		next.Result, next.Outputs, next.OutputsIn = f.Result, f.Outputs, f.OutputsIn
		next = next.finalize(f.Now)
	case OutcomeSkipped:
		next, err = next.move(EventSkip)
		next.Reason = Clip(f.Reason, MaxErrorText)
		next = next.finalize(f.Now)
	case OutcomeCancelled:
		next, err = next.move(EventCancel)
		next = next.finalize(f.Now)
	case OutcomeHandBack:
		next.Attempt--
		next, err = next.move(EventHandBack)
		next = next.queue(t, f.Now)
	case OutcomeSnoozed, OutcomeContinued:
		next, err = next.resume(t, f)
	default:
		next, err = next.failAttempt(t, f)
	}
	if err != nil {
		return j, false, err
	}
	next.Lease = nil
	return next, true, nil
}

// endedBy reports whether the attempt ended with f, or as f would have ended it. An attempt that
// sweep ended as lost did not end with a result that its worker brings later.
func (a Attempt) endedBy(f Finish) bool {
	return a.Outcome == f.Outcome ||
		a.Outcome == OutcomeCancelled && f.Outcome != OutcomeSuccess && f.Outcome != OutcomeSkipped
}

// resume ends an attempt that asked to be called again, which uses no attempt.
func (j Job) resume(t Timing, f Finish) (Job, error) {
	j.Attempt--
	was := j
	if f.Checkpoint != nil {
		j.Checkpoint, j.Open, j.OpenIn = *f.Checkpoint, f.Open, f.OpenIn
		j.Saved, j.Cleared = j.Saved+1, j.Lost
		j.Dirty = j.Dirty || was.dropsBlobs(j)
	}
	switch {
	case f.Outcome == OutcomeSnoozed || was.advances(j):
		j.Idle = 0
	default:
		f.Delay = max(f.Delay, idlePause(j.Idle))
		j.Idle++
	}
	if f.Delay <= 0 {
		next, err := j.move(EventContinue)
		return next.queue(t, f.Now), err
	}
	next, err := j.move(EventSnooze)
	return next.wait(t, f.Now.Add(f.Delay), f.Now), err
}

// maxIdlePause is how long a job waits at most between calls that end in Continue and save nothing.
const maxIdlePause = time.Minute

// idlePause is how long a job waits before its next call, after the given number of calls that
// ended in Continue and saved nothing. After the first such call it does not wait: the attempt may
// have saved something before.
func idlePause(idle int) time.Duration {
	if idle == 0 {
		return 0
	}
	return min(time.Second<<min(idle-1, 10), maxIdlePause)
}

// failAttempt ends an attempt that failed, timed out or was lost: with another to come, or for
// good.
func (j Job) failAttempt(t Timing, f Finish) (Job, error) {
	j.Error, j.Idle = Clip(f.Error, MaxErrorText), 0
	switch f.Outcome {
	case OutcomeTimeout:
		j.Timeouts++
	case OutcomeLost:
		j.Lost++
	default:
		j.Errors++
	}
	at := f.Now.Add(f.Delay)
	if f.Permanent || j.Exhausted() || j.Deadline != 0 && at >= j.Deadline {
		next, err := j.move(EventFail)
		return next.finalize(f.Now), err
	}
	if f.Delay <= 0 {
		next, err := j.move(EventRepeat)
		return next.queue(t, f.Now), err
	}
	next, err := j.move(EventRetry)
	return next.wait(t, at, f.Now), err
}

// Exhausted reports whether one of the job's limits on attempts is reached.
func (j Job) Exhausted() bool {
	over := func(n, limit int) bool { return limit > 0 && n >= limit }
	p := j.Policy
	return over(j.Attempt, p.MaxAttempts) || over(j.Errors, p.MaxErrors) ||
		over(j.Timeouts, p.MaxTimeouts) || over(j.Losses(), p.MaxLost)
}

// Losses is how many attempts were lost with their worker since a checkpoint was last saved. A job
// that makes progress is not taken for one that kills its workers.
func (j Job) Losses() int { return max(j.Lost-j.Cleared, 0) }

// LastChance reports whether the job fails if its next attempt is lost with its worker, as attempts
// before it were. It may have killed those workers, or have run beside a job that did.
func (j Job) LastChance() bool {
	n, limit := j.Losses(), j.Policy.MaxLost
	return n > 0 && limit > 0 && n >= limit-1
}

// recordAttempt adds the attempt that ends to the list. Calls that used no attempt (continued,
// snoozed, handed back) share one entry with the call that follows, so that a long job does not
// push its failures out of the list.
func (j Job) recordAttempt(f Finish) Job {
	a := Attempt{
		Number: j.Number(), Token: f.Token, Worker: j.Lease.Worker, Start: j.Lease.Start, End: f.Now,
		Outcome: f.Outcome, Error: Clip(f.Error, MaxErrorText), Stack: Clip(f.Stack, MaxStack),
	}
	list := slices.Clone(j.Attempts)
	if n := len(list); n > 0 && list[n-1].Number == a.Number && list[n-1].Outcome.usesNoAttempt() {
		a.Start = list[n-1].Start
		list = list[:n-1]
	}
	for i := range list {
		list[i].Stack = ""
	}
	list = append(list, a)
	if drop := len(list) - MaxAttemptsKept; drop > 0 {
		list = list[drop:]
	}
	j.Attempts = list
	return j
}

// usesNoAttempt reports whether the outcome used no attempt.
func (o Outcome) usesNoAttempt() bool {
	return o == OutcomeContinued || o == OutcomeSnoozed || o == OutcomeHandBack
}
