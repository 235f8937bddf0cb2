package cloudrun

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/tests/servers/endtoend"
)

// Long is a kind that takes longer than a request may.
const Long = "cloudrun.long"

// KeysVariable names the URL of the issuer's keys to the program.
const KeysVariable = "PIECEWORK_TEST_KEYS"

// LongTask are the arguments of Long.
type LongTask struct {
	Steps int  `json:"steps"` // of 200 ms each
	Deaf  bool `json:"deaf"`  // it saves checkpoints, but takes no notice of a deadline that is near
}

// LongDone is its result.
type LongDone struct {
	Steps    int    `json:"steps"`
	Requests int    `json:"requests"` // in which it ran
	Run      string `json:"run"`      // that returned it, as in the ledger
}

// NewRegistry returns the kinds of package endtoend and Long.
func NewRegistry(ledger endtoend.Ledger) *functions.Registry {
	r := endtoend.NewRegistry(ledger)
	functions.Handle(r, Long, func(ctx context.Context, job *functions.Job[LongTask]) (LongDone, error) {
		return long(ctx, job, ledger)
	}, functions.MaxAttempts(60), functions.MaxLost(50), functions.Retries(functions.Exponential(100*time.Millisecond, time.Second)))
	return r
}

func long(ctx context.Context, job *functions.Job[LongTask], ledger endtoend.Ledger) (LongDone, error) {
	var at LongDone
	if _, err := job.LoadCheckpoint(ctx, &at); err != nil {
		return at, err
	}
	at.Requests++
	for ; at.Steps < job.Args.Steps; at.Steps++ {
		if !job.Args.Deaf && job.DeadlineNear() {
			return at, functions.Continue(at)
		}
		timer := time.NewTimer(200 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return at, context.Cause(ctx)
		case <-timer.C:
		}
		if job.Args.Deaf {
			next := at
			next.Steps++
			if err := job.Checkpoint(ctx, next); err != nil {
				return at, err
			}
		}
	}
	at.Run = rand.Text()
	return at, ledger.Write(endtoend.Entry{Job: job.ID, Attempt: job.Attempt, Run: at.Run})
}
