package worker

import (
	"context"
	"log/slog"
	"slices"
	"sync"
)

// abandoned gives back the slots of attempts that have ended. It bounds the abandoned handlers,
// which still run: beyond limit, each keeps its slot until another abandoned handler returns. So at
// most twice the limit run at once.
type abandoned struct {
	slots *slots
	limit int
	log   *slog.Logger

	mu     sync.Mutex
	count  int      // abandoned handlers that have not returned
	kept   []*share // of each slot that is kept, the longest first
	logged bool     // that nothing can be started
}

// handler is the handler of one attempt.
type handler struct {
	share     *share
	abandoned bool
	returned  bool
}

func newAbandoned(s *slots, limit int, log *slog.Logger) *abandoned {
	return &abandoned{slots: s, limit: limit, log: log}
}

// attemptEnded gives back the slot of an attempt, or keeps it if the attempt ended without its
// handler.
func (a *abandoned) attemptEnded(h *handler, without bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if without && !h.returned {
		h.abandoned = true
		if a.count++; a.count > a.limit {
			a.kept = append(a.kept, h.share)
			a.logFull()
			return
		}
	}
	a.slots.put(h.share, 1)
}

// handlerReturned notes that a handler has returned. If it was abandoned, the slot that is kept
// longest becomes free.
func (a *abandoned) handlerReturned(h *handler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h.returned = true
	if !h.abandoned {
		return
	}
	a.count--
	if len(a.kept) > 0 {
		s := a.kept[0]
		a.kept = slices.Delete(a.kept, 0, 1)
		a.slots.put(s, 1)
	}
	a.logged = a.logged && len(a.kept) == a.limit
}

// logFull writes an error once all slots are kept. The caller holds mu.
func (a *abandoned) logFull() {
	if a.logged || len(a.kept) < a.limit {
		return
	}
	a.logged = true
	a.log.LogAttrs(context.Background(), slog.LevelError,
		"no job can be started: handlers that were told to stop and did not return hold all slots; restart this process, and let handlers return when their context ends",
		slog.Int("handlers", a.count), slog.Int("concurrency", a.limit))
}
