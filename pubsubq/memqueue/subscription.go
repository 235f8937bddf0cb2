package memqueue

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

// subscription is one consumer of a named queue, whose mutex guards all fields.
type subscription struct {
	queue *namedQueue
	opts  Options

	// The messages in flight here, in the order of delivery, which is the order of ack deadlines.
	first, last *item
	timer       *time.Timer
	armed       bool
	closed      bool
}

// ticket names one delivery of a message. It is void when the message has been delivered again. The
// holder of a ticket may read only the item's body, metadata and number, which never change.
type ticket struct {
	it  *item
	try uint32
}

// receive waits for a message and returns up to max.
func (s *subscription) receive(ctx context.Context, max int) ([]ticket, error) {
	n := s.queue
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	if s.closed || n.closed {
		n.mu.Unlock()
		return nil, ErrClosed
	}
	if n.ready.len() > 0 {
		tickets := n.take(s, max)
		n.mu.Unlock()
		return tickets, nil
	}
	w := &waiter{sub: s, max: max, answer: make(chan []ticket, 1)}
	n.waiters = append(n.waiters, w)
	n.mu.Unlock()
	select {
	case tickets, ok := <-w.answer:
		if !ok {
			return nil, ErrClosed
		}
		return tickets, nil
	case <-ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.unwait(w) {
		return nil, ctx.Err()
	}
	if tickets, ok := <-w.answer; ok { // answered in the same moment; these must not be lost
		return tickets, nil
	}
	return nil, ErrClosed
}

// deliver adds a message to the ones in flight. The caller holds mu.
func (s *subscription) deliver(it *item) {
	it.sub = s
	it.tries++
	s.queue.inFlight++
	it.prev, it.next = s.last, nil
	if s.last != nil {
		s.last.next = it
	} else {
		s.first = it
	}
	s.last = it
	if s.opts.AckDeadline > 0 {
		it.due = time.Now().Add(s.opts.AckDeadline)
		if !s.armed {
			s.arm(s.opts.AckDeadline)
		}
	}
}

// retire removes a message from the ones in flight. The caller holds mu.
func (s *subscription) retire(it *item) {
	if it.prev != nil {
		it.prev.next = it.next
	} else {
		s.first = it.next
	}
	if it.next != nil {
		it.next.prev = it.prev
	} else {
		s.last = it.prev
	}
	it.prev, it.next, it.sub = nil, nil, nil
	it.due = time.Time{}
	s.queue.inFlight--
}

func (s *subscription) arm(d time.Duration) {
	s.armed = true
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.expire)
	} else {
		s.timer.Reset(d)
	}
}

// expire queues messages again whose ack deadline has passed. It may find none, because acks do not
// move the timer.
func (s *subscription) expire() {
	n := s.queue
	n.mu.Lock()
	defer n.mu.Unlock()
	s.armed = false
	if s.closed || n.closed {
		return
	}
	now := time.Now()
	for s.first != nil && !now.Before(s.first.due) {
		it := s.first
		s.retire(it)
		n.put(it)
	}
	if s.first != nil {
		s.arm(s.first.due.Sub(now))
	}
	n.dispatch()
}

// settle ends deliveries. A delivery that was ended before, by a call or by the ack deadline, is
// skipped.
func (s *subscription) settle(ack bool, tickets ...ticket) {
	n := s.queue
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range tickets {
		if t.it.sub != s || t.it.tries != t.try || n.closed {
			continue
		}
		s.retire(t.it)
		if ack {
			continue
		}
		if s.opts.NackDelay > 0 {
			t.it.due = time.Now().Add(s.opts.NackDelay)
		}
		n.put(t.it)
	}
	if !ack {
		n.dispatch()
	}
}

// Close implements [pubsubq.DirectSubscription] and gocloud's driver. Messages in flight go to the
// front of the queue.
func (s *subscription) Close() error {
	n := s.queue
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	kept := n.waiters[:0:0]
	for _, w := range n.waiters {
		if w.sub == s {
			close(w.answer)
		} else {
			kept = append(kept, w)
		}
	}
	n.waiters = kept
	for s.last != nil {
		it := s.last
		s.retire(it)
		if !n.closed && n.isNew(it) {
			n.ready.pushFront(it)
		}
	}
	if !n.closed {
		n.dispatch()
	}
	return nil
}

// ReceiveDirect implements [pubsubq.DirectSubscription].
func (s *subscription) ReceiveDirect(ctx context.Context, max int) ([]*pubsubq.Delivery, error) {
	tickets, err := s.receive(ctx, max)
	if err != nil {
		return nil, err
	}
	ds := make([]*pubsubq.Delivery, len(tickets))
	for i, t := range tickets {
		raw := pubsubq.Raw{Body: []byte(t.it.body), Metadata: maps.Clone(t.it.metadata)}
		ds[i] = pubsubq.NewDelivery(raw, t.it.loggableID(), func(ack bool) { s.settle(ack, t) })
	}
	return ds, nil
}

func (it *item) loggableID() string { return "msg-" + strconv.FormatUint(it.number, 10) }
