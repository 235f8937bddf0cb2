package functions

import (
	"context"
	"sync"
	"time"

	"github.com/piecework/piecework/functions/internal/guard"
)

// pulse gives the started attempts of a process their heartbeats. One timer serves them all, so
// that a job of microseconds costs neither a timer nor a goroutine for a heartbeat that it will
// never need.
type pulse struct {
	rt *Runtime

	mu       sync.Mutex
	attempts map[*Attempt]struct{}
	at       time.Time // for when the timer is set; zero: it is not
	timer    *time.Timer
	closed   bool
}

func newPulse(rt *Runtime) *pulse {
	return &pulse{rt: rt, attempts: map[*Attempt]struct{}{}}
}

// add begins to look after an attempt.
func (p *pulse) add(a *Attempt) {
	at := a.wake()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempts[a] = struct{}{}
	p.set(at)
}

// remove ends it. The timer stays as it is: the next attempt most likely needs it.
func (p *pulse) remove(a *Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.attempts, a)
}

// reschedule asks an attempt again when it has something to do, because that has changed.
func (p *pulse) reschedule(a *Attempt) {
	at := a.wake()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.attempts[a]; ok {
		p.set(at)
	}
}

// set lets the timer fire at that time, or earlier; zero is never. The caller holds mu.
func (p *pulse) set(at time.Time) {
	if at.IsZero() || !p.at.IsZero() && !at.Before(p.at) || p.closed {
		return
	}
	p.at = at
	d := max(at.Sub(p.rt.cfg.Now()), time.Millisecond)
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.fire)
	} else {
		p.timer.Reset(d)
	}
}

// fire tends the attempts whose time has come, and sets the timer for the next.
func (p *pulse) fire() {
	now := p.rt.cfg.Now()
	var due []*Attempt
	var next time.Time
	p.mu.Lock()
	p.at = time.Time{}
	for a := range p.attempts {
		if at := a.wake(); reached(at, now) {
			due = append(due, a)
		} else {
			next = sooner(next, at)
		}
	}
	p.set(next)
	p.mu.Unlock()
	for _, a := range due {
		a.tend(now)
		p.reschedule(a)
	}
}

// stop ends all heartbeats.
func (p *pulse) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed = true; p.timer != nil {
		p.timer.Stop()
	}
}

// wake is when a started attempt has something to do; zero: never.
func (a *Attempt) wake() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.nextStop()
	if a.lease.stopBeat == nil {
		t = sooner(t, a.nextWrite())
	}
	if a.phase != phaseRecorded {
		t = sooner(t, a.limits.abandonAt)
	}
	return t
}

// tend does what is due. It does not wait for the store: a time limit must not depend on whether
// the store answers.
func (a *Attempt) tend(now time.Time) {
	a.mu.Lock()
	limit, why := reached(a.nextStop(), now), a.limits.why
	leave := a.phase != phaseRecorded && reached(a.limits.abandonAt, now)
	beat := a.lease.stopBeat == nil && reached(a.nextWrite(), now)
	ctx := context.WithoutCancel(a.ctx)
	if beat {
		ctx, a.lease.stopBeat = context.WithTimeout(ctx, a.beatTime(now))
	}
	a.mu.Unlock()
	if limit {
		a.stop(why)
	}
	if leave {
		go func() {
			if h := a.abandon(); h != nil {
				a.conclude(h)
			}
		}()
	}
	if beat {
		go a.beatAlone(ctx)
	}
}

// beatAlone is Beat on a goroutine of its own.
func (a *Attempt) beatAlone(ctx context.Context) {
	err := guard.Inline(func() error { a.Beat(a.withSpan(ctx)); return nil })
	if err != nil { // a panic, of a driver perhaps, must not end the process
		a.backOff()
		a.rt.log.LogAttrs(ctx, levelError, "heartbeat failed", append(identity(a.seen()), troubleAttrs(err)...)...)
	}
	a.mu.Lock()
	a.lease.stopBeat()
	a.lease.stopBeat = nil
	a.mu.Unlock()
	a.rt.pulse.reschedule(a)
}

// beatTime is how long a heartbeat may take: until the lease has run out, when the handler must be
// told to stop although the store has not answered. After an expired lease, because the process was
// frozen, it still tries for a third of the lease: if sweep has not ended the attempt, the write
// succeeds. The caller holds mu.
func (a *Attempt) beatTime(now time.Time) time.Duration {
	return max(a.lease.end.Sub(now), a.rt.Timing().Lease/3)
}
