package functions

import (
	"context"
	"errors"
	"time"

	"github.com/piecework/piecework/store"
)

// kept takes note of a write that extended the lease, from the time on at which it was asked for.
func (a *Attempt) kept(j store.Job, asked time.Time) {
	now := a.rt.cfg.Now()
	a.mu.Lock()
	a.job = j
	if end := asked.Add(a.rt.Timing().Lease); end.After(a.leaseEnd) {
		a.leaseEnd = end
	}
	a.nextBeat = now.Add(a.rt.leasePart(3))
	a.nextPoll = now.Add(a.rt.cfg.CancelPoll)
	a.nextSave = now.Add(a.rt.cfg.ProgressEvery)
	a.mu.Unlock()
	a.look(j)
}

// look reacts to what others wrote into the record.
func (a *Attempt) look(j store.Job) {
	switch {
	case j.State != store.Running || j.Lease == nil || j.Lease.Token != a.token:
		a.lose()
	case j.Cancel != 0:
		a.stop(ErrCancelRequested)
	}
}

// missed reacts to a write that did not succeed: the lease is lost, or it ran out while the store did not answer.
func (a *Attempt) missed(err error) {
	_, end := a.held()
	switch {
	case errors.Is(err, store.ErrLeaseLost) || errors.Is(err, store.ErrMove) || errors.Is(err, store.ErrNotFound):
		a.lose()
	case !a.rt.cfg.Now().Before(end):
		a.stop(ErrLeaseLost) // until sweep has ended the attempt, it may still win
	}
}

// lose stops an attempt whose job is another's, or nobody's, by the record.
func (a *Attempt) lose() {
	a.mu.Lock()
	a.gone = true
	a.mu.Unlock()
	a.stop(ErrLeaseLost)
}

// isGone reports whether the record has shown that the lease is lost.
func (a *Attempt) isGone() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone
}

// Beat does what is due now: it cancels the attempt whose time is up, extends the lease, writes progress, and looks
// whether somebody cancelled the job. It returns when it wants to be called again.
func (a *Attempt) Beat(ctx context.Context) time.Time {
	now := a.rt.cfg.Now()
	a.mu.Lock()
	j, at, why := a.job, a.at, a.why
	beat := reached(a.nextBeat, now) || a.progress != nil && reached(a.nextSave, now)
	poll := reached(a.nextPoll, now)
	lost := errors.Is(a.cause, ErrLeaseLost)
	a.mu.Unlock()
	if reached(at, now) {
		a.stop(why)
	}
	switch {
	case lost: // nothing is worth keeping
	case beat:
		a.mu.Lock()
		progress := a.takeProgress()
		a.mu.Unlock()
		kept, err := a.rt.store.Heartbeat(ctx, j, store.Heartbeat{Token: a.token, Now: store.At(now), Progress: progress})
		if err != nil {
			a.giveBack(progress)
			if !a.concluded() { // else it lost the race against the attempt's end, or was ended by it
				a.missed(err)
				a.rt.log.LogAttrs(ctx, levelWarn, "heartbeat failed", append(identity(j), errAttr(err))...)
			}
			a.later()
		} else {
			a.kept(kept, now)
		}
	case poll:
		if fresh, err := a.rt.store.Get(ctx, j.ID); err == nil {
			a.mu.Lock()
			a.nextPoll = now.Add(a.rt.cfg.CancelPoll)
			a.mu.Unlock()
			a.look(fresh)
		} else {
			a.missed(err)
			a.later()
		}
	}
	return a.next()
}

// concluded reports whether the handler is done with.
func (a *Attempt) concluded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over || a.ended
}

// later puts off the next tries a little after the store did not answer.
func (a *Attempt) later() {
	soon := a.rt.cfg.Now().Add(a.rt.leasePart(10))
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range []*time.Time{&a.nextBeat, &a.nextPoll, &a.nextSave} {
		if t.Before(soon) {
			*t = soon
		}
	}
}

// next is when Beat has something to do.
func (a *Attempt) next() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.nextWrite()
	if a.cause == nil && !a.ended {
		t = sooner(t, a.at)
	}
	if t.IsZero() {
		return a.rt.cfg.Now().Add(time.Hour)
	}
	return t
}

// nextWrite is when Beat has something to do with the store: zero for never, once the lease is lost, when nothing is worth
// keeping. The caller holds mu.
func (a *Attempt) nextWrite() time.Time {
	if a.ended || errors.Is(a.cause, ErrLeaseLost) {
		return time.Time{}
	}
	t := sooner(a.nextBeat, a.nextPoll)
	if a.progress != nil {
		t = sooner(t, a.nextSave)
	}
	return t
}

// leasePart is a fraction of the lease in whole milliseconds, which is what the callers of Beat may count in.
func (rt *Runtime) leasePart(n time.Duration) time.Duration {
	return (rt.Timing().Lease / n).Truncate(time.Millisecond)
}

// sooner returns the earlier of two times, of which zero is never.
func sooner(t, u time.Time) time.Time {
	if t.IsZero() || !u.IsZero() && u.Before(t) {
		return u
	}
	return t
}

// reached reports whether a time has come, which zero never does.
func reached(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }
