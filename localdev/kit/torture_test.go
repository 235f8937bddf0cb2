package kit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/kit"
)

// steps registers a job that writes a line for each step and saves a checkpoint after it.
func steps(handler func(ctx context.Context, job *functions.Job[int]) (int, error)) (*functions.Registry, []functions.Submission) {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "steps", handler, functions.MaxAttempts(5))
	return jobs, []functions.Submission{{Kind: "steps", Args: 3}, {Kind: "steps", Args: 1}}
}

// correct goes on from its checkpoint, and all that it does follows from its arguments.
func correct(ctx context.Context, job *functions.Job[int]) (int, error) {
	var step int
	if _, err := job.LoadCheckpoint(ctx, &step); err != nil {
		return 0, err
	}
	w, err := job.Output(ctx, "steps.txt")
	if err != nil {
		return 0, err
	}
	for ; step < job.Args; step++ {
		if _, err := fmt.Fprintf(w, "step %d\n", step); err != nil {
			return 0, err
		}
		if err := job.Checkpoint(ctx, step+1); err != nil {
			return 0, err
		}
	}
	return step, w.Close()
}

func TestTortureFindsNothingInACorrectHandler(t *testing.T) {
	jobs, subs := steps(correct)
	kit.Torture(t, jobs, subs)
}

func TestTortureFindsNothingInAHandlerThatRetriesAndContinues(t *testing.T) {
	jobs, subs := steps(func(ctx context.Context, job *functions.Job[int]) (int, error) {
		var step int
		if _, err := job.LoadCheckpoint(ctx, &step); err != nil {
			return 0, err
		}
		if step == 0 {
			return 0, functions.Continue(1)
		}
		if step == 1 {
			if err := job.Checkpoint(ctx, 2); err != nil {
				return 0, err
			}
			return 0, functions.RetryAfter(0, errors.New("once"))
		}
		return correct(ctx, job)
	})
	kit.Torture(t, jobs, subs)
}

func TestTortureFindsTypicalMistakes(t *testing.T) {
	calls := 0
	for name, c := range map[string]struct {
		handler func(ctx context.Context, job *functions.Job[int]) (int, error)
		want    []string
	}{
		"the result depends on how often it ran": {func(context.Context, *functions.Job[int]) (int, error) {
			calls++
			return calls, nil
		}, []string{"its result is", "likely cause: the result depends on how often"}},
		"the result depends on the attempt": {func(_ context.Context, job *functions.Job[int]) (int, error) {
			return job.Attempt, nil
		}, []string{"its result is 2, undisturbed 1", "after: death after claim 1 of job 0 (write 1)"}},
		"the checkpoint is loaded and ignored": {func(ctx context.Context, job *functions.Job[int]) (int, error) {
			var step int
			if _, err := job.LoadCheckpoint(ctx, &step); err != nil {
				return 0, err
			}
			w, err := job.Output(ctx, "steps.txt")
			if err != nil {
				return 0, err
			}
			for step = range job.Args {
				if _, err := fmt.Fprintf(w, "step %d\n", step); err != nil {
					return 0, err
				}
				if err := job.Checkpoint(ctx, step+1); err != nil {
					return 0, err
				}
			}
			return job.Args, nil
		}, []string{`its output "steps.txt" differs from byte`, "likely cause: the handler begins anew", "after: death after checkpoint 2 of job 0 (write "}},
		"the checkpoint is saved before the work": {func(ctx context.Context, job *functions.Job[int]) (int, error) {
			var step int
			if _, err := job.LoadCheckpoint(ctx, &step); err != nil {
				return 0, err
			}
			w, err := job.Output(ctx, "steps.txt")
			if err != nil {
				return 0, err
			}
			for ; step < job.Args; step++ {
				if err := job.Checkpoint(ctx, step+1); err != nil {
					return 0, err
				}
				if _, err := fmt.Fprintf(w, "step %d\n", step); err != nil {
					return 0, err
				}
			}
			return job.Args, nil
		}, []string{`its output "steps.txt" differs from byte`, "likely cause: a checkpoint was saved before the work", "after: death after checkpoint 1 of job 0 (write "}},
		"it gives up instead of trying again": {func(_ context.Context, job *functions.Job[int]) (int, error) {
			if job.Attempt > 1 {
				return 0, functions.Permanent(errors.New("was begun before"))
			}
			return 1, nil
		}, []string{"it is failed, undisturbed succeeded", "likely cause: a second run of the handler refuses"}},
	} {
		t.Run(name, func(t *testing.T) {
			jobs, subs := steps(c.handler)
			r := &recorder{TB: t}
			kit.Torture(r, jobs, subs)
			for _, want := range c.want {
				if !strings.Contains(r.text, want) {
					t.Errorf("found: %s\nwant a finding that says: %s", r.text, want)
				}
			}
			_, after, _ := strings.Cut(r.text, "\n  after: ")
			first, _, _ := strings.Cut(after, "\n")
			finding, _, _ := strings.Cut(r.text, "\n")
			if n := strings.Count(r.text, finding+"\n"); n != 1 && c.want[0] != "its result is" {
				t.Errorf("%q is reported %d times, want once with all disturbances", finding, n)
			}
			r.text = ""
			kit.Torture(r, jobs, subs, kit.Only(first))
			if !strings.Contains(r.text, "\n  after: "+first+"\n") {
				t.Errorf("Only(%q) finds: %s", first, r.text)
			}
		})
	}
}

// Records that are kept for a short time stay until they have been compared.
func TestTortureOfJobsThatAreSoonRemoved(t *testing.T) {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "short", func(context.Context, *functions.Job[int]) (int, error) { return 1, nil }, functions.Retention(time.Hour))
	kit.Torture(t, jobs, []functions.Submission{{Kind: "short", Args: 1}})
}
