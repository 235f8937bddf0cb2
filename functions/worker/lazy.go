package worker

import (
	"context"
	"log/slog"
	"slices"
	"sync"
)

// lazy gives back the slots of attempts that have ended. It bounds the handlers that were left behind and go on: the slots
// of those beyond the limit stay taken until as many have returned. So no more than twice the limit run at once.
type lazy struct {
	slots *slots
	limit int
	log   *slog.Logger

	mu    sync.Mutex
	count int      // handlers that were left behind and have not returned
	kept  []*share // of each slot that stays taken, the longest first
	told  bool     // that nothing can be started
}

// handler is the handler of one attempt.
type handler struct {
	share    *share
	left     bool // behind
	returned bool
}

func newLazy(s *slots, limit int, log *slog.Logger) *lazy {
	return &lazy{slots: s, limit: limit, log: log}
}

// ended gives back the slot of an attempt that has ended, or keeps it for a handler that was left behind.
func (l *lazy) ended(h *handler, left bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if left && !h.returned {
		h.left = true
		if l.count++; l.count > l.limit {
			l.kept = append(l.kept, h.share)
			l.tell()
			return
		}
	}
	l.slots.put(h.share, 1)
}

// returned notes that a handler has returned. If it was left behind, that frees the slot that is kept longest.
func (l *lazy) returned(h *handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.returned = true
	if !h.left {
		return
	}
	l.count--
	if len(l.kept) > 0 {
		s := l.kept[0]
		l.kept = slices.Delete(l.kept, 0, 1)
		l.slots.put(s, 1)
	}
	l.told = l.told && len(l.kept) == l.limit
}

// tell writes an error once all slots are kept. The caller holds mu.
func (l *lazy) tell() {
	if l.told || len(l.kept) < l.limit {
		return
	}
	l.told = true
	l.log.LogAttrs(context.Background(), slog.LevelError,
		"no job can be started: handlers that were told to stop and did not return hold all slots; restart this process, and let handlers return when their context ends",
		slog.Int("handlers", l.count), slog.Int("concurrency", l.limit))
}
