package functions

import (
	"sync"
	"time"
)

// suspects has room for one job on its last chance: such jobs were lost with their workers, and may have killed them.
// Run one at a time, the one that does so again takes no other down with it that would fail for it.
type suspects struct {
	mu    sync.Mutex
	token string // of the claim, and then the attempt, that has the room; "": it is free
	since time.Time
}

// admit keeps the room for the claim with that token, if it is free or that claim's already.
func (s *suspects) admit(token string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" {
		s.token, s.since = token, now
	}
	return s.token == token
}

// leave frees the room if it is that claim's: it did not win, or its attempt has ended.
func (s *suspects) leave(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.token = ""
	}
}

// The bounds of how long a message waits whose job was not admitted.
const (
	suspectPause     = 5 * time.Second
	suspectPauseMost = time.Minute
)

// pause is how long a message should wait whose job was not admitted: as long as the other has run so far. So its
// deliveries, which some queues count and limit, become rarer the longer that takes.
func (s *suspects) pause(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" {
		return suspectPause
	}
	return min(max(now.Sub(s.since), suspectPause), suspectPauseMost)
}
