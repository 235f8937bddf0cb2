package functions

import (
	"context"
	"sync/atomic"

	"github.com/piecework/piecework/store"
)

// Stats counts what a process did since it started. Read its fields with Load.
type Stats struct {
	Submitted         atomic.Int64 // jobs created
	Existing          atomic.Int64 // submissions that found their job there
	Parked            atomic.Int64 // messages put aside as malformed
	Ignored           atomic.Int64 // messages that triggers know and have no interest in
	Claimed           atomic.Int64 // attempts started
	Succeeded         atomic.Int64 // jobs that ended in that state
	Failed            atomic.Int64 // jobs that ended in that state
	Cancelled         atomic.Int64 // jobs that ended in that state
	Skipped           atomic.Int64 // jobs that ended in that state
	AttemptsRetried   atomic.Int64 // attempts that failed with another to come
	Continued         atomic.Int64 // invocations that ended in Continue or Snooze
	HandedBack        atomic.Int64 // attempts that a shutdown ended
	LeasesLost        atomic.Int64 // attempts of this process that lost their lease
	HandlersAbandoned atomic.Int64 // handlers that still run although their attempts have ended; falls when they return
	Dropped           atomic.Int64 // messages that had nothing to do
	MessagesReturned  atomic.Int64 // messages given back to their queue
	SendErrors        atomic.Int64 // messages that sweep will have to send
	CallsAbandoned    atomic.Int64 // calls of hooks and other functions of the program that did not return in time
}

// countEnd counts a job that an attempt, an operator or sweep has just brought into its state.
func (rt *Runtime) countEnd(ctx context.Context, j store.Job) {
	rt.stats.countEnd(j)
	rt.tel.CountEnd(ctx, j)
}

// countEnd counts an attempt's end by the state that the job is in after it.
func (s *Stats) countEnd(j store.Job) {
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
				s.AttemptsRetried.Add(1)
			}
		}
	}
}
