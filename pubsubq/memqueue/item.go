package memqueue

import (
	"maps"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

// item is one message. It is in exactly one place: ready, delayed, or in flight at a subscription. A million may wait,
// so it is kept small: the body is a string that the hint shares.
type item struct {
	body     string
	metadata map[string]string
	hint     string    // the id if it is a hint, which may not be ready twice; else empty
	number   uint64    // the order of sending
	due      time.Time // when its delay ends; when in flight, its ack deadline

	sub        *subscription // in flight at; nil if it waits
	prev, next *item         // in flight: the list of its subscription
	tries      uint32        // deliveries so far: tells a late ack of an earlier one
}

// newItem copies what the caller may reuse. A delay is turned into a time when it is sent.
func (q *Queue) newItem(body []byte, metadata map[string]string, delay time.Duration) *item {
	it := &item{body: string(body), metadata: maps.Clone(metadata)}
	if id, ok := pubsubq.HintID(body); ok && !q.opts.KeepDuplicates {
		it.hint = it.body[len(it.body)-len(`"}`)-len(id) : len(it.body)-len(`"}`)]
	}
	if delay > 0 {
		it.due = time.Now().Add(delay)
	}
	return it
}

// ring is the ready messages, a queue that can grow at both ends.
type ring struct {
	buf   []*item // its length is a power of two
	head  int
	count int
}

func (r *ring) len() int { return r.count }

func (r *ring) grow() {
	if r.count < len(r.buf) {
		return
	}
	buf := make([]*item, max(16, 2*len(r.buf)))
	for i := range r.count {
		buf[i] = r.buf[(r.head+i)&(len(r.buf)-1)]
	}
	r.buf, r.head = buf, 0
}

func (r *ring) pushBack(it *item) {
	r.grow()
	r.buf[(r.head+r.count)&(len(r.buf)-1)] = it
	r.count++
}

func (r *ring) pushFront(it *item) {
	r.grow()
	r.head = (r.head - 1) & (len(r.buf) - 1)
	r.buf[r.head] = it
	r.count++
}

func (r *ring) popFront() *item {
	it := r.buf[r.head]
	r.buf[r.head] = nil
	r.head = (r.head + 1) & (len(r.buf) - 1)
	if r.count--; r.count == 0 && len(r.buf) > 1<<16 {
		*r = ring{} // a backlog has passed: let its memory go
	}
	return it
}

// delayHeap is the delayed messages, the one that is due first on top; for container/heap.
type delayHeap []*item

func (h delayHeap) Len() int      { return len(h) }
func (h delayHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h delayHeap) Less(i, j int) bool {
	if c := h[i].due.Compare(h[j].due); c != 0 {
		return c < 0
	}
	return h[i].number < h[j].number
}
func (h *delayHeap) Push(x any) { *h = append(*h, x.(*item)) }
func (h *delayHeap) Pop() any {
	old := *h
	last := len(old) - 1
	it := old[last]
	old[last] = nil
	*h = old[:last]
	return it
}
