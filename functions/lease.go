package functions

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/piecework/piecework/store"
)

// leaseClock says when an attempt's lease ends, and when its next heartbeat, poll and write of
// progress are due. The attempt's lock guards it.
type leaseClock struct {
	end      time.Time // when the lease runs out, unless a write extends it
	nextBeat time.Time
	nextPoll time.Time
	nextSave time.Time          // of progress
	progress *store.Progress    // to be written; nil: none
	sent     *store.Progress    // what a heartbeat or checkpoint under way writes of it
	gone     bool               // the record shows that the lease is lost: no write of the attempt can succeed
	stopBeat context.CancelFunc // ends the heartbeat under way; nil: there is none
}

// newLeaseClock returns the clock of a lease that was taken at now.
func newLeaseClock(rt *Runtime, now time.Time) leaseClock {
	return leaseClock{
		end: now.Add(rt.Timing().Lease), nextBeat: now.Add(rt.Timing().Heartbeat()), nextPoll: now.Add(rt.cfg.CancelPoll), nextSave: now,
	}
}

// extend notes a write that extended the lease, which counts from when the write was asked for.
func (c *leaseClock) extend(rt *Runtime, asked time.Time) {
	now := rt.cfg.Now()
	if end := asked.Add(rt.Timing().Lease); end.After(c.end) {
		c.end = end
	}
	c.nextBeat, c.nextPoll, c.nextSave = now.Add(rt.Timing().Heartbeat()), now.Add(rt.cfg.CancelPoll), now.Add(rt.cfg.ProgressEvery)
}

// takeProgress returns the progress that waits, for a write that begins; the attempt's end, which
// cancels that write, writes it too. The caller must call progressWritten after the write.
func (c *leaseClock) takeProgress() *store.Progress {
	p := c.progress
	if p != nil {
		c.progress, c.sent = nil, p
	}
	return p
}

// progressWritten notes how the write of progress ended. If it failed, the progress waits for the
// next write, unless the handler has reported again.
func (c *leaseClock) progressWritten(p *store.Progress, err error) {
	if c.sent == p {
		c.sent = nil
	}
	if err != nil {
		c.progress = cmp.Or(c.progress, c.sent, p)
	}
}

// lastProgress is the newest progress that may not be written; nil: none.
func (c *leaseClock) lastProgress() *store.Progress { return cmp.Or(c.progress, c.sent) }

// held is the job as the attempt last saw it, and when its lease runs out.
func (a *Attempt) held() (store.Job, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.job, a.lease.end
}

// report keeps progress for the next write.
func (a *Attempt) report(done, total int64, message string) {
	p := &store.Progress{Done: done, Total: total, Message: clipText(message, 500), At: a.rt.now()}
	a.mu.Lock()
	if last := cmp.Or(a.lease.lastProgress(), a.job.Progress); last != nil {
		p.At = max(p.At, last.At) // the clock may have been set back, and an older report is not written
	}
	first := a.lease.progress == nil
	a.lease.progress = p
	a.mu.Unlock()
	if first {
		a.rt.pulse.reschedule(a)
	}
}

// noteWrite notes a write that extended the lease. asked is when it was asked for.
func (a *Attempt) noteWrite(j store.Job, asked time.Time) {
	a.mu.Lock()
	a.job = j
	a.lease.extend(a.rt, asked)
	a.mu.Unlock()
	a.noteRecord(j)
}

// noteRecord reacts to what others wrote into the record.
func (a *Attempt) noteRecord(j store.Job) {
	switch {
	case j.State != store.Running || j.Lease == nil || j.Lease.Token != a.token:
		a.loseLease()
	case j.Cancel != 0:
		a.stop(ErrCancelRequested)
	}
}

// noteError reacts to the error of a read or write: the record shows that the lease is lost, or the
// lease has run out while the store did not answer.
func (a *Attempt) noteError(err error) {
	_, end := a.held()
	switch {
	case isLost(err) || errors.Is(err, store.ErrMove) || errors.Is(err, store.ErrNotFound):
		a.loseLease()
	case !a.rt.cfg.Now().Before(end):
		a.stop(ErrLeaseLost) // until sweep has ended the attempt, its writes may still succeed
	}
}

// loseLease stops an attempt whose record shows that the lease is lost.
func (a *Attempt) loseLease() {
	a.mu.Lock()
	a.lease.gone = true
	a.mu.Unlock()
	a.stop(ErrLeaseLost)
}

// leaseGone reports whether the record has shown that the lease is lost.
func (a *Attempt) leaseGone() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lease.gone
}

// Beat does what is due: it stops a handler whose time is up, extends the lease, writes progress,
// and looks whether the job was cancelled. It returns when it must be called again.
func (a *Attempt) Beat(ctx context.Context) time.Time {
	now := a.rt.cfg.Now()
	a.mu.Lock()
	j, at, why := a.job, a.limits.at, a.limits.why
	beat := reached(a.lease.nextBeat, now) || a.lease.progress != nil && reached(a.lease.nextSave, now)
	poll := reached(a.lease.nextPoll, now)
	lost := isLost(a.limits.cause)
	a.mu.Unlock()
	if reached(at, now) {
		a.stop(why)
	}
	switch {
	case lost: // nothing is worth keeping
	case beat:
		a.mu.Lock()
		progress := a.lease.takeProgress()
		a.mu.Unlock()
		kept, err := a.rt.store.Heartbeat(ctx, j, store.Heartbeat{Token: a.token, Now: store.At(now), Progress: progress})
		a.mu.Lock()
		a.lease.progressWritten(progress, err)
		a.mu.Unlock()
		if err == nil {
			a.noteWrite(kept, now)
			break
		}
		if !a.isOver() { // otherwise the attempt's end was written first, or ended this heartbeat
			a.noteError(err)
			a.rt.log.LogAttrs(ctx, levelWarn, "heartbeat failed", append(identity(j), errAttr(err))...)
		}
		a.backOff()
	case poll:
		fresh, err := a.rt.store.Get(ctx, j.ID)
		if err != nil {
			a.noteError(err)
			a.backOff()
			break
		}
		a.mu.Lock()
		a.lease.nextPoll = now.Add(a.rt.cfg.CancelPoll)
		a.mu.Unlock()
		a.noteRecord(fresh)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := sooner(a.nextWrite(), a.nextStop()); !t.IsZero() {
		return t
	}
	return a.rt.cfg.Now().Add(time.Hour)
}

// isOver reports whether the handler has returned or was abandoned.
func (a *Attempt) isOver() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.phase.over()
}

// backOff puts the next heartbeat, poll and write of progress off for a tenth of the lease, because
// the store did not answer.
func (a *Attempt) backOff() {
	soon := a.rt.cfg.Now().Add((a.rt.Timing().Lease / 10).Truncate(time.Millisecond))
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range []*time.Time{&a.lease.nextBeat, &a.lease.nextPoll, &a.lease.nextSave} {
		if t.Before(soon) {
			*t = soon
		}
	}
}

// nextWrite is when Beat must call the store; zero: never, because the attempt has ended or lost
// its lease. The caller holds mu.
func (a *Attempt) nextWrite() time.Time {
	if a.phase == phaseRecorded || isLost(a.limits.cause) {
		return time.Time{}
	}
	t := sooner(a.lease.nextBeat, a.lease.nextPoll)
	if a.lease.progress != nil {
		t = sooner(t, a.lease.nextSave)
	}
	return t
}

// nextStop is when the attempt reaches its limit; zero: never, or it was told to stop before. The
// caller holds mu.
func (a *Attempt) nextStop() time.Time {
	if a.phase == phaseRecorded || a.limits.cause != nil {
		return time.Time{}
	}
	return a.limits.at
}

// sooner returns the earlier of two times. Zero is never.
func sooner(t, u time.Time) time.Time {
	if t.IsZero() || !u.IsZero() && u.Before(t) {
		return u
	}
	return t
}

// reached reports whether a time has come. Zero never comes.
func reached(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }
