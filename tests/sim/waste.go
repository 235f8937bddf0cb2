package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

// The rules of this file are about time and work that is wasted: an attempt that is lost without a
// reason, a handler that is not told to stop, a job that starts late or once too often. A fault
// that an attempt has met excuses it.

// troubled notes that a coroutine has met a fault, and with it the attempt that it belongs to.
func (c *co) troubled() {
	c.trouble = true
	if c.claim != nil {
		c.claim.trouble = true
	}
}

// excused reports whether an attempt had a reason to be lost or late.
func (c *co) excused() bool {
	return c.trouble || c.dead() || c.claim != nil && c.claim.trouble
}

// told is how many milliseconds a handler that must stop may go on before it is told, and a message
// may take.
const told = 5000

// goesOn checks, at a step of a handler, that it was told to stop when it had to.
func (o *oracle) goesOn(c *co) {
	m := o.jobs[c.runs]
	if m == nil || c.handler.Err() != nil || c.excused() {
		return
	}
	now := o.w.now
	if t := m.job.Policy.Timeout; t > 0 && now > c.since+t+told {
		o.w.violatef("limit", "a handler of job %d goes on %d ms after its time limit", m.n, now-c.since-t)
	}
	if !m.held(c) {
		return
	}
	if d := int64(m.job.Deadline); d != 0 && now > d+told {
		o.w.violatef("limit", "a handler of job %d goes on %d ms after the job's deadline", m.n, now-d)
	}
	if m.job.Cancel != 0 && now > m.cancelAt+told {
		o.w.violatef("limit", "a handler of job %d goes on %d ms after the job was cancelled", m.n, now-m.cancelAt)
	}
}

// beats checks that a heartbeat that found the lease lost has told the handler. The heartbeat began
// at the time began; its process had caused the effects counted in had before it.
func (o *oracle) beats(c *co, id string, began int64, had int) {
	m, run := o.jobs[id], c.beside
	if m == nil || m.removed || m.held(c) || m.lostAt >= began || c.effects == had || c.trouble || c.dead() {
		return
	}
	if run.handler != nil && !run.returned && run.handler.Err() == nil {
		o.w.violatef("limit", "a heartbeat found that the lease of job %d is lost, and its handler goes on", m.n)
	}
}

// discards checks that a submission that made no job leaves no arguments in the blob store.
func (o *oracle) discards(c *co, m *model) {
	if c.op.args == "" || c.trouble || o.w.blobs.Data(c.op.args) == nil {
		return
	}
	if m != nil && m.job.Args.Blob != nil && m.job.Args.Blob.Key == c.op.args {
		return // they are the arguments of the job that was found
	}
	o.w.violatef("leftover", "the arguments %s of a submission that made no job are still there", c.op.args)
}

// extends checks that a heartbeat and a checkpoint extend the lease, from the time at which they
// were asked for.
func (o *oracle) extends(c *co, m *model, j store.Job) {
	if c.claim == nil || c.claim != m.owner[j.Lease.Token] || c.asked == 0 || o.w.given {
		return
	}
	if want := c.asked + c.p.skew + o.w.timing.Lease.Milliseconds(); int64(j.Lease.Until) < want {
		o.w.violatef("extend", "%s keeps the lease of job %d until %d, want %d at least", c.name, m.n,
			int64(j.Lease.Until)-began, want-began)
	}
}

// numbers checks that each checkpoint has a number of its own.
func (o *oracle) numbers(m *model, old, j store.Job) {
	if j.State.Final() || j.Checkpoint.IsZero() || j.Saved > old.Saved {
		return
	}
	same := slices.Equal(j.Checkpoint.Inline, old.Checkpoint.Inline) && (j.Checkpoint.Blob == nil) == (old.Checkpoint.Blob == nil) &&
		(j.Checkpoint.Blob == nil || j.Checkpoint.Blob.Key == old.Checkpoint.Blob.Key)
	if !same {
		o.w.violatef("checkpoint", "job %d has another checkpoint %d than before", m.n, j.Saved)
	}
}

// wasted judges the end of an attempt.
func (o *oracle) wasted(c *co, m *model, old, j store.Job, a store.Attempt) {
	w, owner := o.w, m.owner[a.Token]
	if a.Outcome == store.OutcomeLost && !owner.excused() {
		w.violatef("waste", "attempt %d of job %d is lost, and nothing had happened to it", a.Number, m.n)
	}
	if old.Cancel != 0 && j.State != store.Cancelled && j.State != store.Succeeded && j.State != store.Skipped {
		w.violatef("cancel", "job %d was to be cancelled, and is %s after its attempt has ended as %s", m.n, j.State, a.Outcome)
	}
	if a.Outcome != store.OutcomeError || c.name != "run" {
		return
	}
	switch over := j.Exhausted(); {
	case c.how == "permanent" && j.State != store.Failed:
		w.violatef("permanent", "job %d is %s after an error that is permanent", m.n, j.State)
	case c.how == "after" && !over && j.State == store.Failed && (j.Deadline == 0 || int64(j.Deadline) > int64(a.End)+retryAfter):
		w.violatef("retry", "job %d failed after an error that asked for another try", m.n)
	case c.how == "after" && j.State != store.Failed && int64(j.At) != int64(a.End)+retryAfter:
		w.violatef("retry", "job %d goes on %d ms after an error that asked for %d", m.n, int64(j.At)-int64(a.End), retryAfter)
	}
}

// retryAfter is how long an error "after" asks to wait, in milliseconds.
const retryAfter = 3000

// punctual judges when an attempt starts.
func (o *oracle) punctual(c *co, m *model, old store.Job) {
	w := o.w
	if d := int64(old.Deadline); d != 0 && c.since > d+slack {
		w.violatef("deadline", "job %d is claimed by a call that began %d ms after its deadline", m.n, c.since-d)
	}
	late := w.now - max(int64(old.Ready), w.tamedAt)
	bound := (w.timing.MaxGrace + w.timing.Grace).Milliseconds() + 6*sweepEvery
	if w.tamedAt != 0 && late > bound {
		w.violatef("late", "job %d starts %d ms after it could have, want %d at most", m.n, late, bound)
	}
}

// owes notes that a coroutine of sweep has made a job ready to run, and must send its message.
func (o *oracle) owes(c *co, m *model, j store.Job) {
	if c.name == "sweep" && j.State == store.Queued && !o.w.given {
		if c.debts == nil {
			c.debts = map[string]string{}
		}
		c.debts[m.id] = j.Write
	}
}

// swept judges a sweep that has come to its end.
func (o *oracle) swept(c *co) {
	if c.dead() || len(c.debts) == 0 {
		return
	}
	for _, m := range o.sorted() {
		if c.debts[m.id] == m.job.Write && !m.removed {
			o.w.violatef("waste", "sweep made job %d ready to run, and did not send its message", m.n)
		}
	}
}

// pays notes what an effect tells of a debt: a message that is sent, or an answer that never came.
func (c *co) pays(op fault.Op, how fault.How) {
	if len(c.debts) == 0 {
		return
	}
	for id := range strings.FieldsSeq(op.Key) {
		if op.Layer == "queue" || op.Layer == "docs" && how != fault.Fine && how != fault.Lost {
			delete(c.debts, id)
		}
	}
}

// postponed judges how long the outbox of an ended job is put off.
func (o *oracle) postponed(c *co, m *model, old, j store.Job) {
	if c.name != "sweep" || len(j.Outbox) != len(old.Outbox) || j.Due <= old.Due || slices.Contains(j.Outbox, store.EffectRemove) {
		m.putOff = 0
		return
	}
	m.putOff++
	want := min(o.w.timing.Grace<<m.putOff, o.w.timing.MaxGrace).Milliseconds()
	if int64(j.Due) < c.since+c.p.skew+want {
		o.w.violatef("waste", "the outbox of job %d is put off for the time %d, by %d ms, want %d at least", m.n, m.putOff,
			int64(j.Due)-c.since-c.p.skew, want)
	}
}

// deaf is a context that hides one cause from a handler, to play code that does not tell it.
type deaf struct {
	context.Context

	to error
}

// Err is nil for that cause.
func (d deaf) Err() error {
	if errors.Is(context.Cause(d.Context), d.to) {
		return nil
	}
	return d.Context.Err()
}
