package store

import (
	"slices"
	"time"
)

// finalize completes a job that has just ended. What must follow goes to the outbox. The due time
// is when sweep does the outbox, or when the retention ends.
func (j Job) finalize(now Time) Job {
	j.Ended, j.At, j.Lease, j.Resends = now, 0, nil, 0
	if j.State == Succeeded || j.State == Skipped { // others may be retried from their checkpoint
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
	j.Due = j.dueAfterEnd(now)
	return j
}

// outboxGrace is how long the process that ended a job has to carry out its outbox before sweep
// does.
const outboxGrace = time.Minute

// dueAfterEnd returns the due time of an ended job.
func (j Job) dueAfterEnd(now Time) Time {
	switch {
	case len(j.Outbox) > 0:
		return now.Add(outboxGrace)
	case j.Policy.Retention > 0:
		return j.Ended + Time(j.Policy.Retention)
	default:
		return 0
	}
}

// SameEnd reports whether j and k are the same job at the same end. Between two ends of a job there
// is a requeue, which changes the token in Requeued. A job that is created again under the same key
// has another nonce.
func (j Job) SameEnd(k Job) bool {
	return j.State.Final() && k.State.Final() && j.Nonce == k.Nonce && j.Requeued == k.Requeued
}

// clearEffects removes effects that were carried out for the end in have from the outbox. It does
// not change the outbox of another end.
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
	j.Due = j.dueAfterEnd(now)
	return j, true, nil
}

// postpone makes an outbox that could not be carried out for the end in have due later, with a
// longer delay each time.
func (j Job) postpone(t Timing, have Job, now Time) (Job, bool, error) {
	if !j.SameEnd(have) || len(j.Outbox) == 0 || j.Due > now {
		return j, false, nil
	}
	j.Resends++
	j.Due = now.Add(t.grace(j.Resends))
	return j, true, nil
}

// markRemoving notes that the files of a job whose retention has passed are being removed. From
// then on the job cannot be retried.
func (j Job) markRemoving(now Time) (Job, bool, error) {
	if slices.Contains(j.Outbox, EffectRemove) || !j.Overdue(now) {
		return j, false, nil
	}
	j.Outbox = []Effect{EffectRemove}
	j.Due = now.Add(outboxGrace)
	return j, true, nil
}

// Overdue reports whether the job has ended and its retention has passed, with nothing left in its
// outbox.
func (j Job) Overdue(now Time) bool {
	return j.State.Final() && len(j.Outbox) == 0 && j.Policy.Retention > 0 && j.Ended+Time(j.Policy.Retention) <= now
}
