package memqueue

import (
	"container/heap"
	"slices"
	"sync"
	"time"
)

// lane is one named queue. Its one rule, kept whenever mu is free: if a message is ready, no receiver waits.
type lane struct {
	mu       sync.Mutex
	ready    ring
	hints    map[string]struct{} // the hints in ready
	delayed  delayHeap
	timer    *time.Timer // runs wake when the first of delayed is due
	armed    time.Time   // what the timer is set to; zero if it is not
	waiters  []*waiter   // the one that has waited longest first
	inFlight int
	sent     uint64
	closed   bool
}

// waiter is a receiver that waits. It is answered once, on a channel with room, so that answering never blocks; closed
// without an answer, the lane or the subscription has been closed.
type waiter struct {
	sub    *subscription
	max    int
	answer chan []ticket
}

func newLane() *lane { return &lane{hints: map[string]struct{}{}} }

// send takes new messages. It returns false if the lane is closed.
func (l *lane) send(items []*item) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	for _, it := range items {
		l.sent++
		it.number = l.sent
		l.put(it)
	}
	l.dispatch()
	return true
}

// put queues a message behind the others, or delays it if it is not due. The caller holds mu and calls dispatch.
func (l *lane) put(it *item) {
	if !it.due.IsZero() && time.Now().Before(it.due) {
		heap.Push(&l.delayed, it)
		l.arm()
		return
	}
	if l.isNew(it) {
		l.ready.pushBack(it)
	}
}

// isNew reports whether a message may become ready, and if it is a hint notes that it is.
func (l *lane) isNew(it *item) bool {
	if it.hint == "" {
		return true
	}
	if _, ok := l.hints[it.hint]; ok {
		return false
	}
	l.hints[it.hint] = struct{}{}
	return true
}

// arm sets the timer to the first delayed message.
func (l *lane) arm() {
	if len(l.delayed) == 0 || l.closed {
		return
	}
	first := l.delayed[0].due
	if !l.armed.IsZero() && !first.Before(l.armed) {
		return // it wakes early enough, and arms itself again then
	}
	l.armed = first
	if l.timer == nil {
		l.timer = time.AfterFunc(time.Until(first), l.wake)
	} else {
		l.timer.Reset(time.Until(first))
	}
}

// wake makes ready what is due. It may run without need, when a timer could not be stopped in time.
func (l *lane) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = time.Time{}
	now := time.Now()
	for len(l.delayed) > 0 && !now.Before(l.delayed[0].due) {
		it := heap.Pop(&l.delayed).(*item)
		if l.isNew(it) {
			l.ready.pushBack(it)
		}
	}
	l.arm()
	l.dispatch()
}

// dispatch hands ready messages to waiting receivers.
func (l *lane) dispatch() {
	for l.ready.len() > 0 && len(l.waiters) > 0 {
		w := l.waiters[0]
		l.waiters[0] = nil
		l.waiters = l.waiters[1:]
		w.answer <- l.take(w.sub, w.max)
	}
}

// take removes up to max ready messages, which are then in flight at sub.
func (l *lane) take(sub *subscription, max int) []ticket {
	tickets := make([]ticket, min(max, l.ready.len()))
	for i := range tickets {
		it := l.ready.popFront()
		if it.hint != "" {
			delete(l.hints, it.hint)
		}
		sub.launch(it)
		tickets[i] = ticket{it, it.tries}
	}
	if len(l.hints) == 0 && len(tickets) > 0 {
		l.shrink()
	}
	return tickets
}

// shrink lets the memory of a large backlog go: Go's maps never shrink by themselves.
func (l *lane) shrink() {
	if l.sent > 1<<16 && l.ready.len() == 0 && l.ready.buf == nil {
		l.hints = map[string]struct{}{}
	}
}

// unwait removes a waiter that gives up. It returns false if it has been answered already.
func (l *lane) unwait(w *waiter) bool {
	i := slices.Index(l.waiters, w)
	if i < 0 {
		return false
	}
	l.waiters = slices.Delete(l.waiters, i, i+1)
	return true
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	for _, w := range l.waiters {
		close(w.answer)
	}
	l.waiters, l.delayed, l.hints, l.ready = nil, nil, nil, ring{}
}
