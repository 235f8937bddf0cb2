package endtoend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/drivers/azure"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/infra/drivers/nats"
	"github.com/piecework/piecework/infra/drivers/rabbit"
	"github.com/piecework/piecework/infra/drivers/sql"
)

// Done is the result of all kinds that have one.
type Done struct {
	Number    int    `json:"number"`
	Run       string `json:"run"` // that returned it, as in the ledger
	Continued int    `json:"continued,omitempty"`
	Ballast
}

// place is the checkpoint of Steps.
type place struct {
	Step      int `json:"step"` // the next
	Continued int `json:"continued"`
}

// kinds are the handlers.
type kinds struct{ ledger Ledger }

// NewRegistry returns the kinds, whose runs write to the ledger. Those that write files have a queue of their own.
func NewRegistry(ledger Ledger) *functions.Registry {
	r := functions.NewRegistry()
	k := kinds{ledger}
	patient := []functions.KindOption{
		functions.MaxAttempts(60), functions.MaxLost(50), // any job must outlive any number of kills
		functions.Retries(functions.Exponential(100*time.Millisecond, time.Second)),
	}
	files := append([]functions.KindOption{functions.Queue("files")}, patient...)
	functions.Handle(r, Plain, k.plain, patient...)
	functions.Handle(r, Flaky, k.flaky, patient...)
	functions.Handle(r, Steps, k.steps, files...)
	functions.Handle(r, Report, k.report, files...)
	functions.Handle(r, Ending, k.ending, patient...)
	return r
}

var errMeant = errors.New("this attempt is meant to fail")

// done writes to the ledger and returns the result.
func (k kinds) done(job *functions.Job[Task], d Done) (Done, error) {
	d.Number, d.Run = job.Args.Number, rand.Text()
	return d, k.ledger.Write(Entry{job.ID, job.Attempt, d.Run})
}

func (k kinds) plain(ctx context.Context, job *functions.Job[Task]) (Done, error) {
	if err := work(ctx, time.Duration(job.Args.Takes)*time.Millisecond); err != nil {
		return Done{}, err
	}
	if have := job.Args.Text; have != "" && have != Long(job.Args.Number) {
		return Done{}, functions.Permanent(fmt.Errorf("the long text came as %d other bytes", len(have)))
	}
	return k.done(job, Done{})
}

func (k kinds) flaky(ctx context.Context, job *functions.Job[Task]) (Done, error) {
	if err := work(ctx, 20*time.Millisecond); err != nil {
		return Done{}, err
	}
	switch t := job.Args; {
	case job.Attempt > t.Fails:
		var d Done
		if Plan(t.Number).Long {
			d.Text = Long(t.Number)
		}
		return k.done(job, d)
	case t.Panics:
		panic(errMeant)
	default:
		return Done{}, errMeant
	}
}

// steps writes a line a step. What it wrote before a checkpoint survives, what it wrote after one is written again.
func (k kinds) steps(ctx context.Context, job *functions.Job[Task]) (Done, error) {
	var at place
	if _, err := job.LoadCheckpoint(ctx, &at); err != nil {
		return Done{}, err
	}
	file, err := job.Output(ctx, "steps.txt")
	if err != nil {
		return Done{}, err
	}
	for ; at.Step < job.Args.Steps; at.Step++ {
		if _, err := file.Write([]byte(line(job.Args.Number, at.Step))); err != nil {
			return Done{}, err
		}
		if err := work(ctx, 60*time.Millisecond); err != nil {
			return Done{}, err
		}
		next := place{at.Step + 1, at.Continued}
		switch {
		case next.Step == job.Args.Steps:
		case continues(job.Args.Number, at.Step):
			next.Continued++
			return Done{}, functions.Continue(next)
		default:
			if err := job.Checkpoint(ctx, next); err != nil {
				return Done{}, err
			}
		}
	}
	return k.done(job, Done{Continued: at.Continued})
}

// report writes a file, with a pause in the middle in which it may be killed or fail.
func (k kinds) report(ctx context.Context, job *functions.Job[Task]) (Done, error) {
	file, err := job.Output(ctx, "report/rows.csv")
	if err != nil {
		return Done{}, err
	}
	t := job.Args
	if _, err := file.Write(rows(t.Number, 0, t.Rows/2)); err != nil {
		return Done{}, err
	}
	if err := work(ctx, 150*time.Millisecond); err != nil {
		return Done{}, err
	}
	if job.Attempt <= t.Fails {
		return Done{}, errMeant
	}
	if _, err := file.Write(rows(t.Number, t.Rows/2, t.Rows)); err != nil {
		return Done{}, err
	}
	return k.done(job, Done{})
}

func (kinds) ending(ctx context.Context, job *functions.Job[Task]) (Done, error) {
	if err := work(ctx, 10*time.Millisecond); err != nil {
		return Done{}, err
	}
	switch job.Args.End {
	case EndPermanent:
		return Done{}, functions.Permanent(errMeant)
	case EndSkipped:
		return Done{}, functions.Skip("there is nothing to do")
	default:
		return Done{}, errMeant
	}
}

// work takes time.
func work(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Drivers are the drivers of all combinations.
func Drivers() []func(*drivers.Set) {
	return []func(*drivers.Set){
		aws.Register, azure.Register, files.Register, gcp.Register, mongo.Register, nats.Register, rabbit.Register, sql.Register,
	}
}
