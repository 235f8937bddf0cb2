package functions

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/piecework/piecework/store"
)

const (
	levelDebug = slog.LevelDebug
	levelInfo  = slog.LevelInfo
	levelWarn  = slog.LevelWarn
	levelError = slog.LevelError
)

// identity returns the attributes of every line about a job.
func identity(j store.Job) []slog.Attr {
	return []slog.Attr{slog.String("job", j.ID), slog.String("kind", j.Kind), slog.Int("attempt", j.Number())}
}

// ReadableAttr writes durations as text, such as "1.5s": give it to slog's JSON handler as
// HandlerOptions.ReplaceAttr, which by itself writes them as a number of nanoseconds.
func ReadableAttr(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func errAttr(err error) slog.Attr { return slog.Any("error", err) }

func timeAttr(key string, t store.Time) slog.Attr { return slog.Time(key, t.Time()) }
func stateAttr(s store.State) slog.Attr           { return slog.String("state", string(s)) }
func queueAttr(queue string) slog.Attr            { return slog.String("queue", queue) }
func countAttr(n int) slog.Attr                   { return slog.Int("count", n) }
func idAttr(id string) slog.Attr                  { return slog.String("id", id) }

// clipText cuts a text for a record or a line.
func clipText(s string, n int) string { return store.Clip(s, n) }

// unhandledEvery is how often a process logs, for one reason, that it could not handle messages.
const unhandledEvery = time.Minute

// unhandled logs messages that this process could not handle: each reason at once, and then once a
// minute with their number. Such a message may come again every few seconds.
type unhandled struct {
	mu      sync.Mutex
	reasons map[error]*reason // by the error of the rule that applies; nil: none does
}

type reason struct {
	next  store.Time // when it may be logged again
	since int        // messages that were not logged since
}

// note logs the outcome of a message that could not be handled. It does not log a message that had
// nothing to do.
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
