package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/demo"
)

// sleepArgs are the arguments of demo.sleep.
type sleepArgs struct {
	For string `json:"for"` // a duration, as in "20s"
}

// failArgs are the arguments of demo.fail.
type failArgs struct {
	Times int `json:"times"` // how many attempts fail before one succeeds
}

// examples are the kinds of `piecework up`.
func examples() *functions.Registry {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "demo.echo", echo)
	functions.Handle(jobs, "demo.sleep", sleep)
	functions.Handle(jobs, "demo.fail", fail, functions.Retries(functions.Constant(time.Second)))
	demo.Register(jobs)
	return jobs
}

// echo returns its arguments.
func echo(_ context.Context, job *functions.Job[json.RawMessage]) (json.RawMessage, error) {
	return job.Args, nil
}

// sleep waits with progress and checkpoints: after a kill, it sleeps only for the rest.
func sleep(ctx context.Context, job *functions.Job[sleepArgs]) (string, error) {
	total, err := time.ParseDuration(job.Args.For)
	if err != nil || total < 0 {
		return "", functions.Permanent(fmt.Errorf(`for is %q: write it as in {"for":"20s"}`, job.Args.For))
	}
	var slept time.Duration
	if _, err := job.LoadCheckpoint(ctx, &slept); err != nil {
		return "", err
	}
	const nap = time.Second
	for slept < total {
		if job.DeadlineNear() {
			return "", functions.Continue(slept)
		}
		step := min(nap, total-slept)
		timer := time.NewTimer(step)
		select {
		case <-ctx.Done():
			timer.Stop()
			return "", context.Cause(ctx)
		case <-timer.C:
		}
		slept += step
		job.Progress(int64(slept/time.Millisecond), int64(total/time.Millisecond), fmt.Sprintf("slept %v of %v", slept, total))
		if err := job.Checkpoint(ctx, slept); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("slept %v in %d attempts", total, job.Attempt), nil
}

// fail fails as often as its arguments say.
func fail(_ context.Context, job *functions.Job[failArgs]) (string, error) {
	if job.Attempt <= job.Args.Times {
		return "", fmt.Errorf("attempt %d of %d that fail", job.Attempt, job.Args.Times)
	}
	return fmt.Sprintf("attempt %d succeeded", job.Attempt), nil
}
