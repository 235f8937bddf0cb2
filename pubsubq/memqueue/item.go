package memqueue

import (
	"maps"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

// item is one message. It is ready, delayed, or in flight at one subscription. It is small, because
// a million may wait: the hint is a part of the body.
type item struct {
	body     string
	metadata map[string]string
	hint     string    // the id of a hint, which may be ready once; empty for other messages
	number   uint64    // the order of sending
	due      time.Time // when its delay ends; in flight: its ack deadline

	sub        *subscription // where it is in flight; nil while it waits
	prev, next *item         // in flight: the list of its subscription
	tries      uint32        // deliveries so far; a late ack has an earlier number
}

// newItem copies the body and the metadata, which the caller may reuse.
func newItem(body []byte, metadata map[string]string, delay time.Duration) *item {
	it := &item{body: string(body), metadata: maps.Clone(metadata)}
	if id, ok := pubsubq.HintID(body); ok {
		it.hint = it.body[len(it.body)-len(`"}`)-len(id) : len(it.body)-len(`"}`)]
	}
	if delay > 0 {
		it.due = time.Now().Add(delay)
	}
	return it
}

// ring holds the ready messages. It grows at both ends.
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
		*r = ring{} // free the memory of a backlog
	}
	return it
}

// delayHeap holds the delayed messages, the first due on top, for container/heap.
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
