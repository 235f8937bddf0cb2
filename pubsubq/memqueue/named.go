package memqueue

import (
	"container/heap"
	"slices"
	"sync"
	"time"
)

// namedQueue is the queue of one name. Whenever mu is free, it has ready messages or waiting
// receivers, not both.
type namedQueue struct {
	mu       sync.Mutex
	ready    ring
	hints    map[string]struct{} // the hints in ready
	delayed  delayHeap
	timer    *time.Timer // runs wake when the first of delayed is due
	armed    time.Time   // what the timer is set to; zero if it is not
	waiters  []*waiter   // the longest waiting first
	inFlight int
	sent     uint64
	closed   bool
}

// waiter is a receiver that waits. It is answered once, on a buffered channel, so that answering
// never blocks. The channel is closed without an answer when the queue or the subscription is
// closed.
type waiter struct {
	sub    *subscription
	max    int
	answer chan []ticket
}

func newNamedQueue() *namedQueue { return &namedQueue{hints: map[string]struct{}{}} }

// send queues new messages. It returns false if the queue is closed.
func (n *namedQueue) send(items []*item) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	for _, it := range items {
		n.sent++
		it.number = n.sent
		n.put(it)
	}
	n.dispatch()
	return true
}

// put queues a message behind the ready ones, or delays it until it is due. The caller holds mu and
// calls dispatch.
func (n *namedQueue) put(it *item) {
	if !it.due.IsZero() && time.Now().Before(it.due) {
		heap.Push(&n.delayed, it)
		n.arm()
		return
	}
	if n.isNew(it) {
		n.ready.pushBack(it)
	}
}

// isNew reports whether a message may become ready, and notes its hint as ready.
func (n *namedQueue) isNew(it *item) bool {
	if it.hint == "" {
		return true
	}
	if _, ok := n.hints[it.hint]; ok {
		return false
	}
	n.hints[it.hint] = struct{}{}
	return true
}

// arm sets the timer to the first delayed message.
func (n *namedQueue) arm() {
	if len(n.delayed) == 0 || n.closed {
		return
	}
	first := n.delayed[0].due
	if !n.armed.IsZero() && !first.Before(n.armed) {
		return // the timer wakes early enough, and is set again then
	}
	n.armed = first
	if n.timer == nil {
		n.timer = time.AfterFunc(time.Until(first), n.wake)
	} else {
		n.timer.Reset(time.Until(first))
	}
}

// wake makes due messages ready. It may find none, when a timer could not be stopped in time.
func (n *namedQueue) wake() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.armed = time.Time{}
	now := time.Now()
	for len(n.delayed) > 0 && !now.Before(n.delayed[0].due) {
		it := heap.Pop(&n.delayed).(*item)
		if n.isNew(it) {
			n.ready.pushBack(it)
		}
	}
	n.arm()
	n.dispatch()
}

// dispatch hands ready messages to waiting receivers.
func (n *namedQueue) dispatch() {
	for n.ready.len() > 0 && len(n.waiters) > 0 {
		w := n.waiters[0]
		n.waiters[0] = nil
		n.waiters = n.waiters[1:]
		w.answer <- n.take(w.sub, w.max)
	}
}

// take moves up to max messages from ready to in flight at sub.
func (n *namedQueue) take(sub *subscription, max int) []ticket {
	tickets := make([]ticket, min(max, n.ready.len()))
	for i := range tickets {
		it := n.ready.popFront()
		if it.hint != "" {
			delete(n.hints, it.hint)
		}
		sub.deliver(it)
		tickets[i] = ticket{it, it.tries}
	}
	if len(n.hints) == 0 && len(tickets) > 0 {
		n.shrink()
	}
	return tickets
}

// shrink frees the memory of a large backlog. Go's maps do not shrink by themselves.
func (n *namedQueue) shrink() {
	if n.sent > 1<<16 && n.ready.len() == 0 && n.ready.buf == nil {
		n.hints = map[string]struct{}{}
	}
}

// unwait removes a waiter whose context has ended. It returns false if the waiter was answered
// before.
func (n *namedQueue) unwait(w *waiter) bool {
	i := slices.Index(n.waiters, w)
	if i < 0 {
		return false
	}
	n.waiters = slices.Delete(n.waiters, i, i+1)
	return true
}

func (n *namedQueue) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	if n.timer != nil {
		n.timer.Stop()
	}
	for _, w := range n.waiters {
		close(w.answer)
	}
	n.waiters, n.delayed, n.hints, n.ready = nil, nil, nil, ring{}
}
