package functions

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/piecework/piecework/store"
)

// waiting says what a live job is waiting for, and since when or until when. It is "" for a job
// that has ended or that runs. What it says follows from the record and this process's registry; it
// never guesses.
func (rt *Runtime) waiting(j store.Job) string {
	now := rt.now()
	switch j.State {
	case store.Held:
		return "to be released"
	case store.Scheduled:
		return atTime("for its time", j, now)
	case store.Retrying:
		return atTime(fmt.Sprintf("for attempt %d", j.Number()+1), j, now) + ", after " + lastOutcome(j)
	case store.Queued:
		return rt.waitingForWorker(j)
	case store.Blocked:
		return "for other records"
	case store.Running:
		if j.Lease == nil {
			return ""
		}
		if late := now.Sub(j.Lease.Until); late > 0 {
			return fmt.Sprintf("for sweep to end its attempt, due %s: worker %s gave no heartbeat for %v",
				moment(j.Due, now), j.Lease.Worker, round(late+rt.Timing().Lease))
		}
		if j.Cancel != 0 {
			return fmt.Sprintf("for its handler to stop: cancelled %s", moment(j.Cancel, now))
		}
		return ""
	default:
		return ""
	}
}

// atTime says what a job waits for that has a time. If that has come, it waits for its message or for
// a sweep.
func atTime(what string, j store.Job, now store.Time) string {
	if j.At < now {
		return fmt.Sprintf("for a worker or a sweep: due %s", moment(j.At, now))
	}
	return what + ", " + moment(j.At, now)
}

func (rt *Runtime) waitingForWorker(j store.Job) string {
	what := "for a worker on queue " + orDefault(j.Queue)
	if !rt.reg.runs(j.Kind) {
		what += fmt.Sprintf(" that has kind %s (this process has no handler for it)", j.Kind)
	}
	if j.Resends > 0 {
		times := "once"
		if j.Resends > 1 {
			times = fmt.Sprintf("%d times", j.Resends)
		}
		what += fmt.Sprintf("; its message was sent again %s, so there may be no worker, or a long backlog", times)
	}
	if j.LastChance() {
		what += fmt.Sprintf("; %d workers were lost with it, so it waits while a worker runs another such job", j.Losses())
	}
	return what
}

// lastOutcome says how the last attempt ended.
func lastOutcome(j store.Job) string {
	if len(j.Attempts) == 0 {
		return "no attempt"
	}
	a := j.Attempts[len(j.Attempts)-1]
	text := fmt.Sprintf("attempt %d ended with: %s", a.Number, a.Outcome)
	if a.Error != "" {
		text += ": " + shortened(a.Error)
	}
	return text
}

// shortened is the first line of a text, or the beginning of it.
func shortened(text string) string {
	const most = 100
	text, _, more := strings.Cut(text, "\n")
	if len(text) > most {
		text, more = strings.ToValidUTF8(text[:most], ""), true
	}
	if more {
		text += " ..."
	}
	return text
}

// moment says when t is, as people say it.
func moment(t, now store.Time) string {
	stamp := t.Time().Format(time.RFC3339)
	switch d := t.Sub(now); {
	case d == math.MaxInt64:
		return fmt.Sprintf("in more than 292 years (%s)", stamp)
	case d >= 0:
		return fmt.Sprintf("in %v (%s)", round(d), stamp)
	default:
		return fmt.Sprintf("%v ago (%s)", round(now.Sub(t)), stamp)
	}
}

// round keeps about three digits of a duration.
func round(d time.Duration) time.Duration {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond)
	case d < time.Minute:
		return d.Round(100 * time.Millisecond)
	default:
		return d.Round(time.Second)
	}
}
