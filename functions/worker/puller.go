package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
)

// puller pulls from one queue.
type puller struct {
	w     *Worker
	queue string
	recv  *pubsubq.Receiver
	share *share
}

const (
	// pullsPerQueue is how many goroutines pull from a queue, so that one claims while another
	// receives. With more, the claims of a busy queue would become smaller and cost more.
	pullsPerQueue = 2
	// maxPull is the most messages that are claimed at once: about as many as a store writes in one
	// call.
	maxPull = 100
	// patience is how long a message in hand waits for a slot before it is given back to others.
	patience = time.Second
)

// errStore says that the store did not answer.
var errStore = errors.New("the store does not answer")

// run pulls until ctx ends.
func (p *puller) run(ctx context.Context) { p.w.pull(ctx, p.queue, p.round) }

// round receives some messages and starts their jobs.
func (p *puller) round(ctx context.Context) error {
	if err := p.w.held.room(ctx); err != nil {
		return err
	}
	room, err := p.w.slots.room(ctx, p.share)
	if err != nil {
		return err
	}
	ds, err := p.recv.Receive(ctx, min(room, maxPull))
	if err != nil {
		return err
	}
	defer func() { // gives back messages without a slot, and after a panic those that were not settled
		for _, d := range ds {
			if d != nil {
				d.Nack()
			}
		}
	}()
	for rest := ds; len(rest) > 0; {
		n := p.slots(ctx, len(rest))
		if n == 0 {
			return nil
		}
		if err := p.start(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// slots takes up to want slots for messages in hand, and waits at most patience for the first.
func (p *puller) slots(ctx context.Context, want int) int {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.w.slots.take(ctx, p.share, want)
}

// start claims the jobs of messages and starts them. Each message has a slot. Entries of ds that
// are settled become nil.
func (p *puller) start(ds []*pubsubq.Delivery) error {
	w := p.w
	unused := len(ds)
	defer func() { w.slots.put(p.share, unused) }()
	msgs := make([]pubsubq.Message, 0, len(ds))
	at := make([]int, 0, len(ds)) // of each message, the index of its delivery
	for i, d := range ds {
		m, err := functions.ReadHint(d.Body, d.Metadata)
		if err != nil {
			w.settle(p.queue, d, w.rt.Park(w.work, p.queue, d.Body, d.Metadata, err))
			ds[i] = nil
			continue
		}
		msgs, at = append(msgs, m), append(at, i)
	}
	var trouble error
	for n, c := range w.rt.Claim(w.work, msgs...) {
		d := ds[at[n]]
		ds[at[n]] = nil
		if c.Attempt == nil {
			w.settle(p.queue, d, c.Outcome)
			if c.Outcome.AffectsAll() {
				trouble = fmt.Errorf("%w: %w", errStore, c.Outcome.Err)
			}
			continue
		}
		d.Ack()
		unused--
		w.attempts.Add(1)
		h := &handler{share: p.share}
		spawn := func(run func()) {
			w.pool.run(func() {
				defer w.abandoned.handlerReturned(h)
				run()
			})
		}
		c.Attempt.Start(w.work, spawn, func(out functions.Outcome) {
			w.abandoned.attemptEnded(h, out.Abandoned)
			w.report(p.queue, out)
			w.attempts.Done()
		})
	}
	return trouble
}
