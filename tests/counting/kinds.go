package counting

import (
	"context"
	"errors"
	"fmt"

	"github.com/piecework/piecework/functions"
)

// Args and Result are the arguments and the result of the kinds: less than 1 KB.
type Args struct {
	Customer string `json:"customer"`
	Month    string `json:"month"`
}

// Result is what the kinds return.
type Result struct {
	Rows int `json:"rows"`
}

// Some are arguments of a common size.
var Some = Args{Customer: "4711", Month: "2026-11"}

// Plain succeeds at once.
func Plain(context.Context, *functions.Job[Args]) (Result, error) { return Result{17}, nil }

// Kinds returns a registry with the kinds that most paths run: plain succeeds at once, output writes a file, again fails
// once and is retried at once, and continue goes on in a second invocation.
func Kinds() *functions.Registry {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "plain", Plain)
	functions.Handle(jobs, "output", func(ctx context.Context, job *functions.Job[Args]) (Result, error) {
		w, err := job.Output(ctx, "a.txt")
		if err != nil {
			return Result{}, err
		}
		_, err = fmt.Fprintln(w, "text")
		return Result{17}, err
	})
	functions.Handle(jobs, "again", Once(functions.RetryAfter(0, errors.New("no"))))
	functions.Handle(jobs, "continue", func(ctx context.Context, job *functions.Job[Args]) (Result, error) {
		if found, err := job.LoadCheckpoint(ctx, new(int)); err != nil || found {
			return Result{17}, err
		}
		return Result{}, functions.Continue(1)
	})
	return jobs
}

// Once returns a handler whose first attempt ends with an error.
func Once(err error) func(context.Context, *functions.Job[Args]) (Result, error) {
	return func(_ context.Context, job *functions.Job[Args]) (Result, error) {
		if job.Attempt == 1 {
			return Result{}, err
		}
		return Result{17}, nil
	}
}
