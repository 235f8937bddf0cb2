package store

import (
	"bytes"
	"reflect"
	"slices"
	"time"
)

// move takes the event's edge in the table.
func (j Job) move(e Event) (Job, error) {
	to, ok := Move(j.State, e)
	if !ok {
		return j, &MoveError{ID: j.ID, State: j.State, Event: e}
	}
	j.State = to
	return j, nil
}

// holds reports whether the attempt with that token holds the lease.
func (j Job) holds(token string) bool {
	return j.State == Running && j.Lease != nil && j.Lease.Token == token
}

// Ran returns the ended attempt that had that token, if the record still has it.
func (j Job) Ran(token string) (Attempt, bool) {
	for _, a := range slices.Backward(j.Attempts) {
		if a.Token == token {
			return a, true
		}
	}
	return Attempt{}, false
}

// Expired reports whether the deadline of the whole job has passed.
func (j Job) Expired(now Time) bool { return j.Deadline != 0 && now >= j.Deadline }

// dueBy caps a due time by the job's deadline, at which sweep must end it.
func (j Job) dueBy(due Time) Time {
	if j.Deadline != 0 && j.Live() && (due == 0 || j.Deadline < due) {
		return j.Deadline
	}
	return due
}

// queue makes j due for a worker at once.
func (j Job) queue(t Timing, now Time) Job {
	j.At, j.Ready, j.Resends = 0, now, 0
	j.Due = j.dueBy(now.Add(t.Grace))
	return j
}

// wait makes j due at a later time.
func (j Job) wait(t Timing, at, now Time) Job {
	j.At, j.Ready, j.Resends = at, at, 0
	j.Due = j.dueBy(t.start(at, now))
	return j
}

// enter gives a new record the state it starts in.
func (j Job) enter(t Timing, held bool, now Time) Job {
	switch {
	case held:
		j.State, j.Due = Held, j.Deadline
	case j.At > now:
		j.State = Scheduled
		j = j.wait(t, j.At, now)
	default:
		j.State = Queued
		j = j.queue(t, now)
	}
	return j
}

// release lets a held job go.
func (j Job) release(t Timing, now Time) (Job, bool, error) {
	if j.State != Held && j.Live() {
		return j, false, nil
	}
	if j.At > now {
		next, err := j.move(EventDelay)
		return next.wait(t, j.At, now), true, err
	}
	next, err := j.move(EventRelease)
	return next.queue(t, now), true, err
}

// Claim is an attempt's request for the lease.
type Claim struct {
	Token  string
	Worker string
	Now    Time
	Runs   func(kind string) bool // whether the worker can run a kind; nil: any
	// Admits reports whether the worker may run one more job on its last chance, and if so keeps room for this claim. It
	// is asked when nothing else is against the claim, perhaps more than once. Nil: any number.
	Admits func() bool
}

// claim gives the attempt the lease; a job whose deadline has passed it ends instead. A message that comes a little early by this process's clock, because the
// sender's is ahead, counts as in time: Skew is the allowance.
func (j Job) claim(t Timing, c Claim) (Job, bool, error) {
	if j.holds(c.Token) {
		return j, false, nil
	}
	if _, ok := j.Ran(c.Token); ok { // it was applied, and by the time that its answer came the lease had run out
		return j, false, ErrLeaseLost
	}
	if j.State == Running {
		return j, false, ErrHeld
	}
	if c.Runs != nil && j.Live() && !c.Runs(j.Kind) {
		return j, false, ErrKind
	}
	if j.At > c.Now.Add(t.Skew) && (j.State == Scheduled || j.State == Retrying) {
		return j, false, ErrNotDue
	}
	if _, ok := Move(j.State, EventClaim); ok && j.Expired(c.Now) {
		next, err := j.expire(c.Now)
		return next, true, err
	}
	next, err := j.move(EventClaim)
	if err != nil {
		return j, false, err
	}
	if c.Admits != nil && j.LastChance() && !c.Admits() {
		return j, false, ErrSuspect
	}
	next.Run++
	next.Attempt++
	next.At = 0
	next.Lease = &Lease{Token: c.Token, Worker: Clip(c.Worker, MaxWorker), Start: c.Now, Until: c.Now.Add(t.Lease)}
	next.Due = j.dueBy(t.hold(j.Due, next.Lease.Until, c.Now))
	return next, true, nil
}

// expire ends a job whose deadline passed while it waited.
func (j Job) expire(now Time) (Job, error) {
	next, err := j.move(EventFail)
	next.Error = "the job's deadline passed before an attempt could start"
	if j.Error != "" {
		next.Error = Clip("the job's deadline passed; last error: "+j.Error, MaxErrorText)
	}
	return next.settle(now), err
}

// Heartbeat is what an attempt writes while it runs: a heartbeat, with progress or a checkpoint if there is news.
type Heartbeat struct {
	Token      string
	Now        Time
	Progress   *Progress // nil: as it was
	Checkpoint *Payload  // nil: as it was
	Open       []Output  // the outputs as of the checkpoint
	OpenIn     []Manifest
	Saved      int // with a checkpoint: its number in the job, counted from 1
}

// heartbeat extends the lease.
func (j Job) heartbeat(t Timing, k Heartbeat) (Job, bool, error) {
	if !j.holds(k.Token) {
		return j, false, ErrLeaseLost
	}
	if k.Checkpoint != nil && j.Saved >= k.Saved {
		return j, false, nil
	}
	next, err := j.move(EventHeartbeat)
	if err != nil {
		return j, false, err
	}
	lease := *j.Lease
	lease.Until = max(lease.Until, k.Now.Add(t.Lease))
	next.Lease = &lease
	next.Due = j.dueBy(t.hold(j.Due, lease.Until, k.Now))
	if k.Progress != nil {
		next.Progress = k.Progress
	}
	if k.Checkpoint != nil {
		next.Checkpoint, next.Open, next.OpenIn = *k.Checkpoint, k.Open, k.OpenIn
		next.Saved, next.Cleared = k.Saved, j.Lost
		next.Dirty = j.Dirty || j.dropsBlobs(next)
		if j.advances(next) {
			next.Idle = 0
		}
	}
	return next, true, nil
}

// requestCancel ends a job that is not running, and asks the attempt of a running one to stop.
func (j Job) requestCancel(reason string, now Time) (Job, bool, error) {
	if j.State == Cancelled || j.State == Running && j.Cancel != 0 {
		return j, false, nil
	}
	reason = Clip(reason, MaxErrorText)
	if j.State == Running {
		j.Cancel, j.CancelReason = now, reason
		return j, true, nil
	}
	next, err := j.move(EventCancel)
	if err != nil {
		return j, false, err
	}
	next.Cancel, next.CancelReason = now, reason
	return next.settle(now), true, nil
}

// requeue gives a failed or cancelled job a fresh set of attempts. Its checkpoint stays, so it goes on from there.
func (j Job) requeue(t Timing, op string, now Time) (Job, bool, error) {
	if j.Requeued == op {
		return j, false, nil
	}
	next, err := j.move(EventRequeue)
	if err != nil || slices.Contains(j.Outbox, EffectRemove) {
		return j, false, &MoveError{ID: j.ID, State: j.State, Event: EventRequeue}
	}
	next.Requeued = op
	next.Attempt, next.Errors, next.Timeouts, next.Lost, next.Cleared, next.Idle = 0, 0, 0, 0, 0, 0
	next.Ended, next.Cancel, next.CancelReason, next.Outbox = 0, 0, "", nil
	if next.Expired(now) {
		next.Deadline = 0
	}
	return next.queue(t, now), true, nil
}

// settle puts a job that has just ended in its final form: what must follow goes to the outbox, and the due time is
// that of the outbox or of the retention.
func (j Job) settle(now Time) Job {
	j.Ended, j.At, j.Lease, j.Resends = now, 0, nil, 0
	if j.State == Succeeded || j.State == Skipped { // failed and cancelled jobs may be retried from their checkpoint
		was := j
		j.Checkpoint, j.Open, j.OpenIn, j.Error = Payload{}, nil, nil, ""
		j.Dirty = j.Dirty || was.dropsBlobs(j)
	}
	j.Outbox = nil
	if j.Dirty {
		j.Outbox = append(j.Outbox, EffectPurge)
	}
	if j.Policy.Hooks {
		j.Outbox = append(j.Outbox, EffectHooks)
	}
	j.Due = j.rest(now)
	return j
}

// outboxGrace is how long the process that ended a job has for its outbox before sweep does it.
const outboxGrace = time.Minute

// rest is the due time of an ended job.
func (j Job) rest(now Time) Time {
	switch {
	case len(j.Outbox) > 0:
		return now.Add(outboxGrace)
	case j.Policy.Retention > 0:
		return j.Ended + Time(j.Policy.Retention)
	default:
		return 0
	}
}

// SameEnd reports whether j and k are one job at one end: between two ends of a job there is always a requeue, which
// leaves its token, and a job created again under the same key has another nonce.
func (j Job) SameEnd(k Job) bool {
	return j.State.Final() && k.State.Final() && j.Nonce == k.Nonce && j.Requeued == k.Requeued
}

// clearEffects takes effects that were carried out for the end in have out of the outbox; the outbox of another end stays.
func (j Job) clearEffects(have Job, effects []Effect, now Time) (Job, bool, error) {
	if !j.SameEnd(have) {
		return j, false, nil
	}
	left := make([]Effect, 0, len(j.Outbox))
	for _, e := range j.Outbox {
		if !slices.Contains(effects, e) {
			left = append(left, e)
		}
	}
	if len(left) == len(j.Outbox) {
		return j, false, nil
	}
	j.Outbox, j.Resends = left, 0
	j.Due = j.rest(now)
	return j, true, nil
}

// postpone puts off an outbox that could not be carried out for the end in have, longer each time.
func (j Job) postpone(t Timing, have Job, now Time) (Job, bool, error) {
	if !j.SameEnd(have) || len(j.Outbox) == 0 || j.Due > now {
		return j, false, nil
	}
	j.Resends++
	j.Due = now.Add(t.grace(j.Resends))
	return j, true, nil
}

// markRemoving notes that the files of a job whose retention has passed are being removed; from then on it cannot be retried.
func (j Job) markRemoving(now Time) (Job, bool, error) {
	if slices.Contains(j.Outbox, EffectRemove) || !j.Overdue(now) {
		return j, false, nil
	}
	j.Outbox = []Effect{EffectRemove}
	j.Due = now.Add(outboxGrace)
	return j, true, nil
}

// Overdue reports whether the job has ended and its retention has passed, with nothing left in its outbox.
func (j Job) Overdue(now Time) bool {
	return j.State.Final() && len(j.Outbox) == 0 && j.Policy.Retention > 0 && j.Ended+Time(j.Policy.Retention) <= now
}

// dropsBlobs reports whether j names a blob that next does not. Such a blob is left to the purge at the job's end, unless
// the attempt removes it before. A part of an output that has moved to a manifest counts too.
func (j Job) dropsBlobs(next Job) bool {
	kept := map[string]bool{}
	for _, b := range next.Blobs() {
		kept[b.Key] = true
	}
	return slices.ContainsFunc(j.Blobs(), func(b Blob) bool { return !kept[b.Key] })
}

// advances reports whether next has another checkpoint than j, or other open outputs.
func (j Job) advances(next Job) bool {
	a, b := j.Checkpoint, next.Checkpoint
	same := bytes.Equal(a.Inline, b.Inline)
	if a.Blob != nil && b.Blob != nil { // each attempt has a key of its own
		same = a.Blob.SHA256 == b.Blob.SHA256
	} else if a.Blob != b.Blob {
		same = false
	}
	return !same || !reflect.DeepEqual(j.Open, next.Open) || !reflect.DeepEqual(j.OpenIn, next.OpenIn)
}

// HasFiles reports whether there may be blobs of the job, listed in the record or not.
func (j Job) HasFiles() bool { return j.Dirty || len(j.Blobs()) > 0 }
