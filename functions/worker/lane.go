package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
)

// lane pulls from one queue.
type lane struct {
	w     *Worker
	queue string
	recv  *pubsubq.Receiver
	share *share
}

const (
	// pullers is how many goroutines pull from a lane: one can claim while another receives. With more, the claims
	// of a busy lane become smaller and so dearer.
	pullers = 2
	// maxPull is the most messages that are claimed at once; a store writes about so many in one go.
	maxPull = 100
	// patience is how long a message in hand waits for a slot before it is given back to others.
	patience = time.Second
)

// errStore says that the store did not answer.
var errStore = errors.New("the store does not answer")

// run pulls until ctx ends.
func (l *lane) run(ctx context.Context) { l.w.pull(ctx, l.queue, l.round) }

// round receives some messages and starts their jobs.
func (l *lane) round(ctx context.Context) error {
	if err := l.w.held.room(ctx); err != nil {
		return err
	}
	room, err := l.w.slots.room(ctx, l.share)
	if err != nil {
		return err
	}
	ds, err := l.recv.Receive(ctx, min(room, maxPull))
	if err != nil {
		return err
	}
	defer func() { // those that there was no slot for, and after a panic those that nothing became of
		for _, d := range ds {
			if d != nil {
				d.Nack()
			}
		}
	}()
	for rest := ds; len(rest) > 0; {
		n := l.slots(ctx, len(rest))
		if n == 0 {
			return nil
		}
		if err := l.start(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// slots takes slots for messages in hand, which do not wait for long.
func (l *lane) slots(ctx context.Context, want int) int {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return l.w.slots.take(ctx, l.share, want)
}

// start claims the jobs of messages that have a slot each, and starts them. It takes those out of ds that it has
// settled.
func (l *lane) start(ds []*pubsubq.Delivery) error {
	w := l.w
	unused := len(ds)
	defer func() { w.slots.put(l.share, unused) }()
	msgs := make([]pubsubq.Message, 0, len(ds))
	at := make([]int, 0, len(ds)) // of each message, the index of its delivery
	for i, d := range ds {
		m, err := functions.ReadHint(d.Body, d.Metadata)
		if err != nil {
			w.settle(l.queue, d, w.rt.Park(w.work, l.queue, d.Body, d.Metadata, err))
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
			w.settle(l.queue, d, c.Outcome)
			if c.Outcome.AffectsAll() {
				trouble = fmt.Errorf("%w: %w", errStore, c.Outcome.Err)
			}
			continue
		}
		d.Ack()
		unused--
		w.attempts.Add(1)
		h := &handler{share: l.share}
		spawn := func(run func()) {
			w.crew.run(func() {
				defer w.lazy.returned(h)
				run()
			})
		}
		c.Attempt.Start(w.work, spawn, func(out functions.Outcome) {
			w.lazy.ended(h, out.Abandoned)
			w.tell(l.queue, out)
			w.attempts.Done()
		})
	}
	return trouble
}
