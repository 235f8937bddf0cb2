package worker

import (
	"context"
	"slices"
	"sync"
)

// slots is the limit on jobs that run at once, shared by the queues.
//
// A queue that waits for messages holds no slot, so that it does not keep other queues from them.
// So two queues may receive for the same free slot. Then one of them waits in take with messages in
// hand, and gets the next slot.
type slots struct {
	mu      sync.Mutex
	free    int
	takers  []*taker  // queues with messages in hand, the longest waiting first
	waiting []*waiter // calls of room that wait, the longest waiting first
}

// share is what one queue has of the slots.
type share struct {
	limit int // 0: no limit of its own
	used  int
}

// room is how many more slots the queue may have.
func (s *share) room(free int) int {
	if s.limit == 0 {
		return free
	}
	return min(free, s.limit-s.used)
}

type taker struct {
	share *share
	want  int
	got   chan int // has room for one answer
}

// waiter is a call of room that waits for its turn.
type waiter struct {
	share *share
	turn  chan struct{} // has room for one
}

func newSlots(n int) *slots { return &slots{free: n} }

// room waits until a queue may receive, and returns how many messages: its part of what is free, if
// other queues wait too. It reserves nothing. Queues go in the order in which they came, and each
// lets the next go. Otherwise a busy queue, which is back at once, would always be the first to
// find what another has waited for.
func (s *slots) room(ctx context.Context, queue *share) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &waiter{share: queue, turn: make(chan struct{}, 1)}
	s.waiting = append(s.waiting, w)
	for {
		if s.first() == w {
			n, queues := queue.room(s.free), s.waitingQueues()
			s.leave(w)
			return (n + queues - 1) / queues, nil
		}
		s.mu.Unlock()
		var err error
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-w.turn:
		}
		s.mu.Lock()
		if err != nil {
			s.leave(w)
			return 0, err
		}
	}
}

// waitingQueues is how many queues wait for room. The caller holds mu.
func (s *slots) waitingQueues() int {
	seen := make(map[*share]bool, len(s.waiting))
	for _, w := range s.waiting {
		seen[w.share] = true
	}
	return len(seen)
}

// leave takes a call out of the line and lets the next look. The caller holds mu.
func (s *slots) leave(w *waiter) {
	if i := slices.Index(s.waiting, w); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	s.next()
}

// first is the first in the line that there is room for, or nil. The caller holds mu.
func (s *slots) first() *waiter {
	if s.free == 0 || len(s.takers) > 0 {
		return nil
	}
	for _, w := range s.waiting {
		if w.share.room(s.free) > 0 {
			return w
		}
	}
	return nil
}

// next lets the first in the line go. The caller holds mu.
func (s *slots) next() {
	if w := s.first(); w != nil {
		select {
		case w.turn <- struct{}{}:
		default: // it has been told
		}
	}
}

// take waits for slots for messages in hand and takes 1 to want; 0 if ctx ends first. Queues get
// them in the order in which they ask.
func (s *slots) take(ctx context.Context, queue *share, want int) int {
	s.mu.Lock()
	if n := min(queue.room(s.free), want); n > 0 && len(s.takers) == 0 {
		s.free, queue.used = s.free-n, queue.used+n
		s.mu.Unlock()
		return n
	}
	t := &taker{share: queue, want: want, got: make(chan int, 1)}
	s.takers = append(s.takers, t)
	s.mu.Unlock()
	select {
	case n := <-t.got:
		return n
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.takers, t); i >= 0 {
		s.takers = slices.Delete(s.takers, i, i+1)
		s.wake() // others may have waited behind it
		return 0
	}
	return <-t.got // granted in the same moment
}

// put gives n slots back.
func (s *slots) put(queue *share, n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free, queue.used = s.free+n, queue.used-n
	s.wake()
}

// wake hands free slots to those who wait for them, an equal part to each. The caller holds mu.
func (s *slots) wake() {
	for i := 0; i < len(s.takers) && s.free > 0; {
		t := s.takers[i]
		part := (s.free + len(s.takers) - i - 1) / (len(s.takers) - i)
		n := min(t.share.room(part), t.want)
		if n <= 0 { // at its own limit
			i++
			continue
		}
		s.free, t.share.used = s.free-n, t.share.used+n
		s.takers = slices.Delete(s.takers, i, i+1)
		t.got <- n
	}
	s.next()
}
