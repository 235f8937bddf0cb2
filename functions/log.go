package functions

import (
	"log/slog"
	"sync/atomic"

	"github.com/piecework/piecework/store"
)

const (
	levelDebug = slog.LevelDebug
	levelInfo  = slog.LevelInfo
	levelWarn  = slog.LevelWarn
	levelError = slog.LevelError
)

// identity is what every line about a job carries.
func identity(j store.Job) []slog.Attr {
	return []slog.Attr{slog.String("job", j.ID), slog.String("kind", j.Kind), slog.Int("attempt", j.Attempt)}
}

// ReadableAttr writes durations as text, such as "1.5s": give it to slog's JSON handler as HandlerOptions.ReplaceAttr,
// which by itself writes them as a number of nanoseconds.
func ReadableAttr(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func errAttr(err error) slog.Attr { return slog.Any("error", err) }

// Stats counts what a process did since it started. Read them with Load.
type Stats struct {
	Submitted  atomic.Int64 // jobs created
	Existing   atomic.Int64 // submissions that found their job there
	Parked     atomic.Int64 // messages that were put aside as malformed
	Ignored    atomic.Int64 // messages that triggers know and have no interest in
	Claimed    atomic.Int64 // attempts started
	Succeeded  atomic.Int64 // jobs, likewise the next three
	Failed     atomic.Int64
	Cancelled  atomic.Int64
	Skipped    atomic.Int64
	Retried    atomic.Int64 // attempts that failed with another to come
	Continued  atomic.Int64 // invocations that ended in Continue or Snooze
	HandedBack atomic.Int64 // attempts that a shutdown ended
	LeasesLost atomic.Int64 // attempts of this process that lost their lease
	LeftBehind atomic.Int64 // handlers that go on though their attempts have ended; it falls when they return
	Dropped    atomic.Int64 // messages that had nothing to do
	Retries    atomic.Int64 // messages that were given back
	SendErrors atomic.Int64 // messages that sweep will have to send
	Abandoned  atomic.Int64 // hooks and other functions of the program that did not return in time
}

// ended counts an attempt's end by the state that the job is in after it.
func (s *Stats) ended(j store.Job) {
	switch j.State {
	case store.Succeeded:
		s.Succeeded.Add(1)
	case store.Failed:
		s.Failed.Add(1)
	case store.Cancelled:
		s.Cancelled.Add(1)
	case store.Skipped:
		s.Skipped.Add(1)
	default:
		if n := len(j.Attempts); n > 0 {
			switch j.Attempts[n-1].Outcome {
			case store.OutcomeContinued, store.OutcomeSnoozed:
				s.Continued.Add(1)
			case store.OutcomeHandBack:
				s.HandedBack.Add(1)
			default:
				s.Retried.Add(1)
			}
		}
	}
}

func timeAttr(key string, t store.Time) slog.Attr { return slog.Time(key, t.Time()) }
func stateAttr(s store.State) slog.Attr           { return slog.String("state", string(s)) }
func queueAttr(queue string) slog.Attr            { return slog.String("queue", queue) }
func countAttr(n int) slog.Attr                   { return slog.Int("count", n) }
func idAttr(id string) slog.Attr                  { return slog.String("id", id) }

// clipText cuts a text for a record or a line.
func clipText(s string, n int) string { return store.Clip(s, n) }
