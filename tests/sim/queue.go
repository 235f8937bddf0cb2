package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/tests/fault"
)

// message is a message under way: a hint, or a submission.
type message struct {
	hint  string // the id of a job
	queue string
	body  []byte // of a submission
	id    string // the broker's, of a submission
	ready int64
}

// visibility is after how many milliseconds a queue delivers again what was not acknowledged.
const visibility = 15_000

// sender is the queue as a process sees it.
type sender struct{ p *proc }

// MaxDelay returns the world's MaxDelay.
func (s sender) MaxDelay(string) time.Duration { return s.p.w.timing.Native }

// Send puts messages on the queue, as far as its fate lets it; and messages have fates of their own.
func (s sender) Send(ctx context.Context, queue string, delay time.Duration, msgs ...pubsubq.Message) error {
	w := s.p.w
	ids := make([]string, len(msgs))
	for i, m := range msgs {
		ids[i] = m.ID
	}
	op := fault.Op{Layer: "queue", Verb: "send", Key: strings.Join(ids, " ")}
	fate := w.Before(ctx, op)
	if fate.How == fault.Refused {
		return errors.New("fault: the queue is away")
	}
	send := func() {
		for i, id := range ids {
			if fate.How == fault.Partial && i%2 == 0 || w.mutantDropsSend(of(ctx)) {
				continue
			}
			w.post(message{hint: id, queue: queue, ready: w.now + delay.Milliseconds()})
		}
	}
	if fate.How == fault.Late {
		return w.Wait(ctx, op, send)
	}
	send()
	w.After(ctx, op)
	if fate.How != fault.Fine {
		return errors.New("fault: the queue did not answer")
	}
	return nil
}

// post puts a message on the wire, which may lose, double and delay it.
func (w *world) post(m message) {
	if w.tamed || w.rng == nil {
		w.msgs = append(w.msgs, m)
		return
	}
	if w.rng.Float64() < w.cfg.Drop {
		w.faultf("the message %s%s is lost", m.hint, m.id)
		return
	}
	copies := 1
	if w.rng.Float64() < w.cfg.Double {
		copies++
		w.faultf("the message %s%s is doubled", m.hint, m.id)
	}
	base := m.ready
	for range copies {
		m.ready = base
		if w.rng.IntN(4) == 0 {
			m.ready += w.rng.Int64N(5000)
		}
		w.msgs = append(w.msgs, m)
	}
}

// arrived picks one of the messages that can be delivered, -1 for none.
func (w *world) arrived() int {
	var ready []int
	for i, m := range w.msgs {
		if m.ready <= w.now {
			ready = append(ready, i)
		}
	}
	if len(ready) == 0 {
		return -1
	}
	return ready[w.rng.IntN(len(ready))]
}

// take removes a message from the wire.
func (w *world) take(i int) message {
	m := w.msgs[i]
	w.msgs = append(w.msgs[:i], w.msgs[i+1:]...)
	if w.cfg.AtLeast { // it comes again unless it is acknowledged by then
		again := m
		again.ready = w.now + visibility
		w.msgs = append(w.msgs, again)
	}
	return m
}

// settleMessage does with a message what the outcome says. This is the one place that acknowledges.
func (w *world) settleMessage(m message, out functions.Outcome) {
	if w.cfg.AtLeast {
		for i, o := range w.msgs {
			if o.hint == m.hint && o.id == m.id && o.ready > w.now {
				w.msgs = append(w.msgs[:i], w.msgs[i+1:]...)
				break
			}
		}
	}
	if out.Verdict == functions.Retry {
		m.ready = w.now + max(out.After.Milliseconds(), 100)
		w.msgs = append(w.msgs, m)
	}
}

// deliver gives a message, and perhaps more of them, to a process.
func (w *world) deliver(i int) {
	p := w.pickProc()
	if p == nil || p.busy >= 4 {
		w.msgs[i].ready = w.now + 200
		return
	}
	first := w.take(i)
	if first.body != nil {
		w.spawn(p, "receive", func(ctx context.Context, c *co) {
			out := p.rt.Submit(ctx, first.body, nil, first.id)
			if !c.dead() {
				w.oracle.received(first, out)
				w.settleMessage(first, out)
			}
		})
		return
	}
	batch := []message{first}
	for len(batch) < 3 && w.rng.IntN(3) == 0 {
		i := w.arrived()
		if i < 0 || w.msgs[i].body != nil {
			break
		}
		batch = append(batch, w.take(i))
	}
	w.execute(p, batch)
}

// execute claims what the messages name and runs it.
func (w *world) execute(p *proc, batch []message) {
	hints := make([]pubsubq.Message, len(batch))
	for i, m := range batch {
		hints[i] = pubsubq.Message{ID: m.hint}
	}
	p.busy++
	w.spawn(p, "claim", func(ctx context.Context, c *co) {
		defer func() { p.busy-- }()
		for i, cl := range p.rt.Claim(ctx, hints...) {
			if c.dead() {
				return
			}
			if cl.Attempt == nil {
				w.settleMessage(batch[i], cl.Outcome)
				continue
			}
			w.attempt(c, batch[i], cl.Attempt)
		}
	})
}

// attempt runs an attempt, with a heartbeat beside it.
func (w *world) attempt(claim *co, m message, a *functions.Attempt) {
	p := claim.p
	p.busy++
	over := false
	var limit int64
	if w.cfg.Platform > 0 {
		limit = w.now + w.cfg.Platform
	}
	var cancel context.CancelFunc // of a heartbeat under way
	beat := w.spawn(p, "beat", func(ctx context.Context, c *co) {
		beat := func() time.Time {
			ctx, done := w.until(ctx, w.beatUntil(a))
			cancel = done
			defer done()
			at, had, was := w.now, c.effects, c.trouble
			c.asked, c.trouble = at, false
			next := a.Beat(ctx)
			w.oracle.beats(c, a.ID(), at, had)
			c.asked, c.trouble = 0, c.trouble || was
			return next
		}
		next := beat()
		for !over && !c.dead() {
			if at := next.UnixMilli() - p.skew; at > w.now {
				c.yield(at)
				continue
			}
			had := c.effects
			if next = beat(); next.UnixMilli()-p.skew <= w.now && c.effects == had {
				w.violatef("beat", "job %s: a heartbeat that did nothing wants the next at once", a.ID())
				return
			}
		}
	})
	run := w.spawn(p, "run", func(ctx context.Context, c *co) {
		defer func() {
			over = true
			beat.wake = w.now
			if cancel != nil {
				cancel()
			}
			p.busy--
		}()
		if limit != 0 {
			ctx = platform{ctx, time.UnixMilli(limit + p.skew), c}
		}
		ctx, c.cancel = context.WithCancel(ctx)
		defer c.cancel()
		out := a.Run(ctx)
		if !c.dead() {
			w.settleMessage(m, out)
		}
	})
	beat.killAt, run.killAt = limit, limit
	beat.beside, run.attempt = run, a
	beat.claim, run.claim = claim, claim
}

// beatUntil is when a heartbeat that gets no answer is given up, as the worker does: at the end of the lease.
func (w *world) beatUntil(a *functions.Attempt) int64 {
	least := w.now + w.timing.Lease.Milliseconds()/3
	if m := w.oracle.jobs[a.ID()]; m != nil && m.job.Lease != nil {
		return max(int64(m.job.Lease.Until), least)
	}
	return least
}

// platform is a context that knows its deadline and leaves it to the scheduler.
type platform struct {
	context.Context

	at time.Time
	c  *co
}

// Deadline is when the platform ends the invocation. It is not told to what follows the handler: timers would be set, and
// those go by the machine's clock.
func (p platform) Deadline() (time.Time, bool) { return p.at, !p.c.returned }
