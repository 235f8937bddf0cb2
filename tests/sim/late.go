package main

import (
	"context"
	"math"

	"github.com/piecework/piecework/tests/fault"
)

// An effect may happen late. Its caller waits for the answer, and gives up when its context ends or
// its process dies. A write that was given up is still on the wire, and is applied when its time
// has come, or never.

// never is later than all that happens.
const never = math.MaxInt64

// wire is what lies between processes and their stores.
type wire struct {
	held   []*held
	alarms []alarm
	given  bool             // the effect that happens just now has been given up
	away   map[string]int64 // until when nothing answers, by layer
}

// held is an effect that waits for its time.
type held struct {
	at     int64
	answer int64 // when its caller hears of it
	by     *co
	op     fault.Op
	apply  func()
	done   bool
	given  bool // its caller has given up
}

// alarm ends a context at a time.
type alarm struct {
	at   int64
	ring context.CancelFunc
}

// Wait holds an effect back until its time has come.
func (w *world) Wait(ctx context.Context, op fault.Op, apply func()) error {
	c := of(ctx)
	h := &held{at: c.next.late, answer: c.next.late + c.next.slow, by: c, op: op, apply: apply}
	drop := c.next.drop
	c.next = decision{}
	w.held = append(w.held, h)
	c.await(ctx, never)
	if !c.dead() && h.done && w.now >= h.answer {
		return nil
	}
	h.given = true
	w.eventf("%s %d.%d gives up %v", c.name, c.p.id, c.id, op)
	if drop || !op.Writes() {
		w.drop(h)
	}
	h.at += w.behind() // what its callers do next may overtake it
	if err := ctx.Err(); err != nil {
		return err
	}
	return errDead
}

// behind is how many milliseconds later a write that was given up is applied than what was asked
// for after it.
func (w *world) behind() int64 {
	if w.tides == nil {
		return 1000
	}
	return w.tides.Int64N(3000)
}

// arrive lets an effect happen whose time has come.
func (w *world) arrive(h *held) {
	w.drop(h)
	w.eventf("late: %v", h.op)
	h.done = true
	h.by.wake = h.answer
	w.given = h.given
	h.apply()
	w.given = false
}

// arriveNext lets the first effect happen whose time has come.
func (w *world) arriveNext() bool {
	for _, h := range w.held {
		if h.at <= w.now {
			w.arrive(h)
			return true
		}
	}
	return false
}

// drop forgets an effect that was held.
func (w *world) drop(h *held) {
	for i, o := range w.held {
		if o == h {
			w.held = append(w.held[:i], w.held[i+1:]...)
			return
		}
	}
}

// until gives a context that ends at a time of the world.
func (w *world) until(ctx context.Context, at int64) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	w.alarms = append(w.alarms, alarm{at, cancel})
	return ctx, cancel
}

// ring ends the contexts whose time has come.
func (w *world) ring() {
	left := w.alarms[:0]
	for _, a := range w.alarms {
		if a.at <= w.now {
			a.ring()
		} else {
			left = append(left, a)
		}
	}
	w.alarms = left
}

// goAway lets a store or the queue not answer for a while.
func (w *world) goAway() {
	if w.tides == nil || w.tamed || w.cfg.Away == 0 || w.tides.Float64() >= w.cfg.Away {
		return
	}
	w.leave([]string{"docs", "docs", "blobs", "queue"}[w.tides.IntN(4)])
}

// leave lets a layer not answer for a while.
func (w *world) leave(layer string) {
	if w.away[layer] > w.now {
		return
	}
	d := w.tides.Int64N(25_000)
	w.away[layer] = w.now + d
	w.faultf("%s: no answer for %d ms", layer, d)
}

// delay decides whether an effect happens late.
func (w *world) delay(c *co, op fault.Op) (d decision, late bool) {
	if w.tides == nil || w.tamed {
		return d, false
	}
	if op.Layer == "user" && w.tides.Float64() < w.cfg.Hang {
		if w.tides.IntN(3) == 0 {
			return decision{fate: fault.Fate{How: fault.Refused}}, true
		}
		return decision{fate: fault.Fate{How: fault.Late}, late: w.now + w.tides.Int64N(40_000), drop: true}, true
	}
	if c.name == "sweep" && op.Verb == "list" && w.removesKeyed(jobOf(op.Key)) && w.tides.Float64() < w.cfg.Dawdle {
		w.ambushed = jobOf(op.Key)
		return decision{fate: fault.Fate{How: fault.Late}, late: w.now + 60_000 + w.tides.Int64N(60_000)}, true
	}
	if c.name == "run" && op.Writes() && w.tides.Float64() < w.cfg.Spite {
		w.leave(op.Layer)
	}
	switch until := w.away[op.Layer]; {
	case until > w.now:
		d.late = until
	case w.tides.Float64() < w.cfg.Late:
		d.late = w.now + w.tides.Int64N(25_000)
	default:
		return d, false
	}
	d.fate.How = fault.Late
	d.drop = w.tides.IntN(4) == 0
	if w.tides.IntN(4) == 0 {
		d.slow = w.tides.Int64N(10_000)
	}
	return d, true
}

// patience gives some calls of users a context that ends.
func (w *world) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if w.tides == nil || w.tamed || w.tides.IntN(3) > 0 {
		return ctx, func() {}
	}
	return w.until(ctx, w.now+500+w.tides.Int64N(20_000))
}
