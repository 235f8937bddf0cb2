package functions

import (
	"sync"
	"time"
)

// suspects has room for one job on its last chance. Such jobs were lost with their workers, and may
// have killed them. They run one at a time in a process, so that a job that kills its worker again
// does not make another such job fail.
type suspects struct {
	mu    sync.Mutex
	token string // of the claim, and then the attempt, that has the room; "": it is free
	since time.Time
}

// admit takes the room for the claim with that token. It reports whether the claim has it.
func (s *suspects) admit(token string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" {
		s.token, s.since = token, now
	}
	return s.token == token
}

// leave frees the room if that claim has it, because the claim failed or its attempt has ended.
func (s *suspects) leave(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.token = ""
	}
}

// The shortest and the longest wait of a message whose job was not admitted.
const (
	suspectPause     = 5 * time.Second
	suspectPauseMost = time.Minute
)

// pause is how long a message should wait whose job was not admitted: as long as the job in the
// room has run so far. So its deliveries, which some queues count and limit, become rarer.
func (s *suspects) pause(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" {
		return suspectPause
	}
	return min(max(now.Sub(s.since), suspectPause), suspectPauseMost)
}
