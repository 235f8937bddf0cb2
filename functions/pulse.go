package functions

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/piecework/piecework/store"
)

// pulse gives the started attempts of a process their heartbeats. One timer serves them all, so that a job of
// microseconds costs neither a timer nor a goroutine for a heartbeat that it will never need.
type pulse struct {
	rt *Runtime

	mu       sync.Mutex
	attempts map[*Attempt]struct{}
	at       store.Time // for when the timer is set; never: it is not
	timer    *time.Timer
	closed   bool
}

// never is later than every moment.
const never store.Time = math.MaxInt64

func newPulse(rt *Runtime) *pulse {
	return &pulse{rt: rt, attempts: map[*Attempt]struct{}{}, at: never}
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

// set lets the timer fire at that time, or earlier. The caller holds mu.
func (p *pulse) set(at store.Time) {
	if at >= p.at || p.closed {
		return
	}
	p.at = at
	d := max(at.Time().Sub(p.rt.cfg.Now()), time.Millisecond)
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.fire)
	} else {
		p.timer.Reset(d)
	}
}

// fire tends the attempts whose time has come, and sets the timer for the next.
func (p *pulse) fire() {
	now := p.rt.now()
	var due []*Attempt
	next := never
	p.mu.Lock()
	p.at = never
	for a := range p.attempts {
		if at := a.wake(); at <= now {
			due = append(due, a)
		} else {
			next = min(next, at)
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

// wake is when a started attempt has something to do.
func (a *Attempt) wake() store.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := never
	if !a.beating {
		t = a.nextWrite()
	}
	if a.at != 0 && a.cause == nil && !a.ended {
		t = min(t, a.at)
	}
	if a.leaveAt != 0 && !a.over {
		t = min(t, a.leaveAt)
	}
	return t
}

// tend does what is due, without waiting for the store: its time limit must not depend on whether the store answers.
func (a *Attempt) tend(now store.Time) {
	a.mu.Lock()
	limit := a.at != 0 && a.cause == nil && now >= a.at
	why := a.why
	leave := a.leaveAt != 0 && !a.over && now >= a.leaveAt
	beat := !a.beating && a.nextWrite() <= now
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
			a.Beat(a.traced(ctx))
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
func (a *Attempt) beatTime(now store.Time) time.Duration {
	least := a.rt.Timing().Lease / 3
	if a.job.Lease == nil {
		return least
	}
	return max(a.job.Lease.Until.Sub(now), least)
}
