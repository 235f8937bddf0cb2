package main

import (
	"context"

	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/tests/fault"
)

// decision is what becomes of an effect and of the process that has it.
type decision struct {
	fate        fault.Fate
	crashBefore bool
	crashAfter  bool
	slow        int64 // milliseconds until the answer comes
	late        int64 // with fault.Late: when it happens
	drop        bool  // with fault.Late: it never happens if its caller gives up
}

// Before is asked by every effect of the code under test: others may go first, and then its fate is decided.
func (w *world) Before(ctx context.Context, op fault.Op) fault.Fate {
	c := of(ctx)
	if c == nil {
		return fault.Fate{} // the oracle looks around
	}
	c.effects++
	dead := fault.Fate{How: fault.Refused, Code: gcerrors.Internal}
	c.yield(w.now)
	if c.dead() {
		return dead
	}
	d := w.decide(c, op)
	switch {
	case d.crashBefore:
		w.faultf("process %d crashes before %v", c.p.id, op)
		c.p.dead = true
		return dead
	case d.fate.How != fault.Fine:
		w.faultf("%s %d.%d %v: %v %v", c.name, c.p.id, c.id, op, d.fate.How, d.fate.Code)
		if c.hasty != nil {
			c.hasty()
		}
	default:
		w.eventf("%s %d.%d %v", c.name, c.p.id, c.id, op)
	}
	if d.fate.How != fault.Fine || d.crashAfter || d.slow > 0 {
		c.troubled()
	}
	c.pays(op, d.fate.How)
	w.blobs.Broken.NothingGoes = w.mutantKeeps(c, op)
	switch {
	case op.Verb == "list":
		c.listed = jobOf(op.Key)
	case op.Layer == "docs":
		c.relook, c.listed = c.listed, ""
	}
	c.next = d
	if w.glance != nil {
		c.seen = mix(mix(c.seen, sum(op.String())+uint64(d.fate.How)), w.glance(op))
	}
	return d.fate
}

// After lets the answer of an effect be slow, or never arrive.
func (w *world) After(ctx context.Context, op fault.Op) {
	c := of(ctx)
	if c == nil || c.dead() {
		return
	}
	d := c.next
	c.next = decision{}
	switch {
	case d.crashAfter:
		w.faultf("process %d crashes after %v", c.p.id, op)
		c.p.dead = true
	case d.slow > 0:
		w.faultf("the answer to %v takes %d ms", op, d.slow)
		c.yield(w.now + d.slow)
	}
}

// codes are the codes of errors after which the outcome is unknown.
var codes = []gcerrors.ErrorCode{gcerrors.Unknown, gcerrors.Internal, gcerrors.ResourceExhausted, gcerrors.DeadlineExceeded}

// chaos decides by the climate.
func (w *world) chaos(c *co, op fault.Op) decision {
	if w.tamed {
		return decision{}
	}
	if d, late := w.delay(c, op); late {
		return d
	}
	r := w.rng.Float64()
	took := func(p float64) bool {
		if r < p {
			return true
		}
		r -= p
		return false
	}
	code := codes[w.rng.IntN(len(codes))]
	switch {
	case took(w.cfg.Refuse * 0.8):
		return decision{fate: fault.Fate{How: fault.Refused, Code: code}}
	case took(w.cfg.Refuse * 0.2):
		return decision{fate: fault.Fate{How: fault.Partial, Code: code}}
	case op.Writes() && took(w.cfg.Lose):
		return decision{fate: fault.Fate{How: fault.Lost, Code: code}}
	case took(w.cfg.Crash):
		before := w.rng.IntN(2) == 0
		return decision{crashBefore: before, crashAfter: !before}
	case took(w.cfg.Slow):
		return decision{slow: w.rng.Int64N(15_000)}
	}
	return decision{}
}
