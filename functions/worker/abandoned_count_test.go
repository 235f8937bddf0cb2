package worker

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/piecework/piecework/tests/printed"
)

// A handler may return in the moment in which its attempt ends without it: it keeps no slot. The
// log tells each time that all slots are kept, once.
func TestSlotsThatAreKept(t *testing.T) {
	const limit = 2
	var log printed.Text
	slots, queue := newSlots(limit), &share{}
	l := newAbandoned(slots, limit, slog.New(slog.NewTextHandler(&log, nil)))
	start := func() *handler {
		if slots.free == 0 {
			t.Fatalf("no slot is free, %d are kept, want none", len(l.kept))
		}
		slots.take(t.Context(), queue, 1)
		return &handler{share: queue}
	}
	for range 3 * limit {
		h := start()
		l.handlerReturned(h)
		l.attemptEnded(h, true)
	}
	if slots.free != limit || l.count != 0 {
		t.Fatalf("%d slots are free, %d handlers are abandoned; want %d and none: all have returned", slots.free, l.count, limit)
	}
	for round := 1; round <= 2; round++ {
		var abandoned []*handler
		for range 2 * limit {
			h := start()
			l.attemptEnded(h, true)
			abandoned = append(abandoned, h)
		}
		if n := strings.Count(log.String(), "no job can be started"); n != round || slots.free != 0 {
			t.Errorf("round %d: %d lines, %d slots are free; want one line a round and none", round, n, slots.free)
		}
		for _, h := range abandoned {
			l.handlerReturned(h)
		}
		if slots.free != limit || l.count != 0 {
			t.Errorf("round %d: %d slots are free, %d handlers are abandoned; want %d and none", round, slots.free, l.count, limit)
		}
	}
}
