package functions

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/piecework/piecework/store"
)

// unhandledEvery is how often a process logs, for one reason, that it could not handle messages.
const unhandledEvery = time.Minute

// unhandled tells the log of messages that this process could not handle: each reason at once, and then once a minute
// with how many there were. A message may come again every few seconds for as long as its reason lasts.
type unhandled struct {
	mu      sync.Mutex
	reasons map[error]*reason // by the error of the rule that applies; nil: none does
}

type reason struct {
	next  store.Time // when it may be logged again
	since int        // messages that were not logged since
}

// note logs the outcome of a message if it says that the message could not be handled. A message that has nothing to do
// is no trouble.
func (u *unhandled) note(ctx context.Context, rt *Runtime, out Outcome) {
	lost := errors.Is(out.Err, store.ErrTooLarge) || errors.Is(out.Err, store.ErrCorrupt)
	if out.Verdict != Retry && !lost {
		return
	}
	now, key := rt.now(), ruleOf(out.Err).err
	u.mu.Lock()
	if u.reasons == nil {
		u.reasons = map[error]*reason{}
	}
	r := u.reasons[key]
	if r == nil {
		r = &reason{}
		u.reasons[key] = r
	}
	r.since++
	n := r.since
	due := now >= r.next
	if due {
		r.next, r.since = now.Add(unhandledEvery), 0
	}
	u.mu.Unlock()
	if due {
		rt.log.LogAttrs(ctx, levelWarn, "messages could not be handled here; this is the last of them",
			slog.String("job", out.JobID), countAttr(n), errAttr(out.Err))
	}
}
