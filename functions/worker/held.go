package worker

import (
	"context"
	"sync"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

// held keeps messages that are to be given back after a while. They take no slot, but their number
// is bounded: a queue full of jobs that cannot run here should not end up in this process.
type held struct {
	gate chan struct{} // one token a message

	mu     sync.Mutex
	timers map[*pubsubq.Delivery]*time.Timer
	closed bool
}

// maxHeld is how many messages a worker holds at most. Beyond that it stops receiving until some
// have been given back.
const maxHeld = 1000

func newHeld() *held {
	return &held{gate: make(chan struct{}, maxHeld), timers: map[*pubsubq.Delivery]*time.Timer{}}
}

// room waits until fewer than the bound are held.
func (h *held) room(ctx context.Context) error {
	select {
	case h.gate <- struct{}{}:
		<-h.gate
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// nack gives a message back after a while. It does so at once if after is 0, if the bound is
// reached, or at shutdown.
func (h *held) nack(d *pubsubq.Delivery, after time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if after <= 0 || h.closed {
		d.Nack()
		return
	}
	select {
	case h.gate <- struct{}{}:
	default:
		d.Nack()
		return
	}
	h.timers[d] = time.AfterFunc(after, func() { h.release(d) })
}

func (h *held) release(d *pubsubq.Delivery) {
	h.mu.Lock()
	_, ok := h.timers[d]
	delete(h.timers, d)
	h.mu.Unlock()
	if ok {
		<-h.gate
		d.Nack()
	}
}

// close gives everything back at once, also what comes later.
func (h *held) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for d, timer := range h.timers {
		timer.Stop()
		delete(h.timers, d)
		<-h.gate
		d.Nack()
	}
}
