package memqueue

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

// subscription is one consumer of a lane. All its fields are guarded by the mutex of the lane.
type subscription struct {
	lane *lane
	opts Options

	// What is in flight here, in the order of delivery and so of ack deadlines too.
	first, last *item
	timer       *time.Timer
	armed       bool
	closed      bool
}

// ticket names one delivery of a message. If the message has been delivered again since, the ticket is void. Who holds
// one may read of the item only what never changes: body, metadata and number.
type ticket struct {
	it  *item
	try uint32
}

// receive waits for a message and returns up to max.
func (s *subscription) receive(ctx context.Context, max int) ([]ticket, error) {
	l := s.lane
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	if s.closed || l.closed {
		l.mu.Unlock()
		return nil, ErrClosed
	}
	if l.ready.len() > 0 {
		tickets := l.take(s, max)
		l.mu.Unlock()
		return tickets, nil
	}
	w := &waiter{sub: s, max: max, answer: make(chan []ticket, 1)}
	l.waiters = append(l.waiters, w)
	l.mu.Unlock()
	select {
	case tickets, ok := <-w.answer:
		if !ok {
			return nil, ErrClosed
		}
		return tickets, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unwait(w) {
		return nil, ctx.Err()
	}
	if tickets, ok := <-w.answer; ok { // answered in the same moment: these must not be lost
		return tickets, nil
	}
	return nil, ErrClosed
}

// launch notes that a message is in flight here. The caller holds mu.
func (s *subscription) launch(it *item) {
	it.sub = s
	it.tries++
	s.lane.inFlight++
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

// land removes a message from what is in flight. The caller holds mu.
func (s *subscription) land(it *item) {
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
	s.lane.inFlight--
}

func (s *subscription) arm(d time.Duration) {
	s.armed = true
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.expire)
	} else {
		s.timer.Reset(d)
	}
}

// expire queues again what has been in flight for too long. The timer is not moved with every ack, so it may find that
// nothing is.
func (s *subscription) expire() {
	l := s.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	s.armed = false
	if s.closed || l.closed {
		return
	}
	now := time.Now()
	for s.first != nil && !now.Before(s.first.due) {
		it := s.first
		s.land(it)
		l.put(it)
	}
	if s.first != nil {
		s.arm(s.first.due.Sub(now))
	}
	l.dispatch()
}

// settle ends deliveries. Those that are over already, by an earlier call or the ack deadline, are passed over.
func (s *subscription) settle(ack bool, tickets ...ticket) {
	l := s.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range tickets {
		if t.it.sub != s || t.it.tries != t.try || l.closed {
			continue
		}
		s.land(t.it)
		if ack {
			continue
		}
		if s.opts.NackDelay > 0 {
			t.it.due = time.Now().Add(s.opts.NackDelay)
		}
		l.put(t.it)
	}
	if !ack {
		l.dispatch()
	}
}

// Close implements [pubsubq.DirectSubscription] and gocloud's driver. What is given back comes before what waits.
func (s *subscription) Close() error {
	l := s.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	kept := l.waiters[:0:0]
	for _, w := range l.waiters {
		if w.sub == s {
			close(w.answer)
		} else {
			kept = append(kept, w)
		}
	}
	l.waiters = kept
	for s.last != nil {
		it := s.last
		s.land(it)
		if !l.closed && l.isNew(it) {
			l.ready.pushFront(it)
		}
	}
	if !l.closed {
		l.dispatch()
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
