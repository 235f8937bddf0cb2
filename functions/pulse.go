package functions

import (
	"context"
	"sync"
	"time"

	"github.com/piecework/piecework/functions/internal/guard"
)

// pulse gives the started attempts of a process their heartbeats. One timer serves them all, so that a job of
// microseconds costs neither a timer nor a goroutine for a heartbeat that it will never need.
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

// soon asks for a look at an attempt that has something to do at another time than it said.
func (p *pulse) soon(a *Attempt) {
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
		p.soon(a)
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
	var t time.Time
	if !a.beating {
		t = a.nextWrite()
	}
	if a.cause == nil && !a.ended {
		t = sooner(t, a.at)
	}
	if !a.over {
		t = sooner(t, a.leaveAt)
	}
	return t
}

// tend does what is due, without waiting for the store: its time limit must not depend on whether the store answers.
func (a *Attempt) tend(now time.Time) {
	a.mu.Lock()
	limit := a.cause == nil && reached(a.at, now)
	why := a.why
	leave := !a.over && reached(a.leaveAt, now)
	beat := !a.beating && reached(a.nextWrite(), now)
	ctx := context.WithoutCancel(a.ctx)
	if beat {
		a.beating = true
		ctx, a.stopBeat = context.WithTimeout(ctx, a.beatTime(now))
	}
	a.mu.Unlock()
	if limit {
		a.stop(why)
	}
	if leave {
		go a.conclude(nil)
	}
	if beat {
		go func() {
			err := guard.Inline(func() error { a.Beat(a.traced(ctx)); return nil })
			if err != nil { // a panic of a driver, perhaps: it must not take the process with it
				a.later()
				a.rt.log.LogAttrs(ctx, levelError, "heartbeat failed", append(identity(a.seen()), troubleAttrs(err)...)...)
			}
			a.mu.Lock()
			a.beating = false
			a.stopBeat()
			a.mu.Unlock()
			a.rt.pulse.soon(a)
		}()
	}
}

// beatTime is how long a heartbeat may take: until the lease has run out, when a handler must be told to stop although
// the store has not answered. One that comes too late, because the process was frozen, has its chance all the same: the
// attempt may still hold the job. The caller holds mu.
func (a *Attempt) beatTime(now time.Time) time.Duration {
	return max(a.leaseEnd.Sub(now), a.rt.Timing().Lease/3)
}
