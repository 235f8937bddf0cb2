package store

import (
	"bytes"
	"reflect"
	"slices"
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

// release makes a held job wait for its time or for a worker.
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
	// Admits reports whether the worker may run one more job on its last chance, and if so reserves
	// room for it. It is called when nothing else prevents the claim, perhaps more than once. Nil:
	// any number.
	Admits func() bool
}

// claim leases the job to the attempt. A job whose deadline has passed it ends instead. A message
// that comes early by this process's clock, because the sender's clock is ahead, counts as in time
// if it is early by at most Skew.
func (j Job) claim(t Timing, c Claim) (Job, bool, error) {
	if j.holds(c.Token) {
		return j, false, nil
	}
	if _, ok := j.Ran(c.Token); ok { // applied, but the lease ran out before the answer came
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
	next.Due = j.dueBy(t.hold(j.Due, *next.Lease, c.Now))
	return next, true, nil
}

// expire ends a job whose deadline passed while it waited.
func (j Job) expire(now Time) (Job, error) {
	next, err := j.move(EventFail)
	next.Error = "the job's deadline passed before an attempt could start"
	if j.Error != "" {
		next.Error = Clip("the job's deadline passed; last error: "+j.Error, MaxErrorText)
	}
	return next.finalize(now), err
}

// Heartbeat is what an attempt writes while it runs: a heartbeat, with progress or a checkpoint if
// there is news.
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
	next.Due = j.dueBy(t.hold(j.Due, lease, k.Now))
	next.Progress = j.Progress.newer(k.Progress)
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
	return next.finalize(now), true, nil
}

// requeue gives a failed or cancelled job a fresh set of attempts. Its checkpoint stays, so it goes
// on from there.
func (j Job) requeue(t Timing, op string, now Time) (Job, bool, error) {
	if j.Requeued == op {
		return j, false, nil
	}
	next, err := j.move(EventRequeue)
	if err != nil || slices.Contains(j.Outbox, EffectRemove) {
		return j, false, &MoveError{ID: j.ID, State: j.State, Event: EventRequeue}
	}
	next.Requeued, next.Past = op, j.Number()
	for _, a := range j.Attempts { // a call that used no attempt may have the next number
		next.Past = max(next.Past, a.Number)
	}
	next.Attempt, next.Errors, next.Timeouts, next.Lost, next.Cleared, next.Idle = 0, 0, 0, 0, 0, 0
	next.Ended, next.Cancel, next.CancelReason, next.Outbox = 0, 0, "", nil
	if next.Expired(now) {
		next.Deadline = 0
	}
	return next.queue(t, now), true, nil
}

// dropsBlobs reports whether j names a blob that next does not. The purge at the job's end removes
// such a blob, unless the attempt does so before. A part of an output that has moved to a manifest
// counts too.
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

// HasFiles reports whether the job may have blobs, listed in the record or not.
func (j Job) HasFiles() bool { return j.Dirty || len(j.Blobs()) > 0 }
