package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/store"
)

func waitCommand(c *console) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "wait ID", Short: "Wait for a job's end and print its result", Args: wantArgs(1, 1, "the ID of a job"),
		Long: "Waits until a job has ended, and shows its progress on standard error: a bar on a terminal, lines elsewhere.\n" +
			"Then it prints the result on standard output.\n\n" + idHelp + "\n\n" + exitHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTimeout(timeout); err != nil {
				return err
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			id, err := jobID(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			return wait(cmd.Context(), c, client, id, timeout)
		},
	}
	c.serverCommand(cmd).Flags().DurationVar(&timeout, "timeout", 0, "the longest wait, as in 10m (default: without limit)")
	return cmd
}

// checkTimeout refuses a negative limit of a wait.
func checkTimeout(timeout time.Duration) error {
	if timeout < 0 {
		return usage("--timeout %v: cannot be negative", timeout)
	}
	return nil
}

// wait waits for the end of a job and prints it.
func wait(ctx context.Context, c *console, client *apiclient.Client, id string, timeout time.Duration) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	p := newProgress(c)
	job, err := client.Wait(ctx, id, p.see)
	p.clear()
	if errors.Is(err, context.DeadlineExceeded) {
		if job.ID == "" {
			job = getOnce(ctx, client, id)
		}
		if c.JSON && job.ID != "" {
			return errors.Join(c.PrintJSON(job), &silent{exitTimeout})
		}
		return &statusError{exitTimeout, fmt.Errorf("job %s is %s after %v; it goes on", id, stateText(job.State), timeout)}
	}
	if errors.Is(err, errInterrupted) {
		c.Hintf("the job goes on; wait again with: %s wait %s\n", programName(), id)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return errors.Join(c.PrintJSON(job), stateStatus(job))
	}
	c.printEnd(job)
	return stateStatus(job)
}

// getOnce returns a job after the context has ended; the zero value if that fails.
func getOnce(ctx context.Context, client *apiclient.Client, id string) functions.Info {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	job, err := client.Get(ctx, id)
	if err != nil {
		return functions.Info{}
	}
	return job
}

// stateText describes a state that may be unknown.
func stateText(s store.State) string {
	if s == "" {
		return "not known to have ended"
	}
	return string(s)
}

// printEnd prints how a job ended: for people on standard error, its result on standard output.
func (c *console) printEnd(j functions.Info) {
	took := ""
	if !j.Started.IsZero() && j.Ended.After(j.Started) {
		took = " in " + short(j.Ended.Sub(j.Started))
	}
	text := ""
	if why := oneLine(j.Error + j.Reason); why != "" && j.State != store.Succeeded {
		text = ": " + why
	}
	c.Notef("%s %s%s%s\n", j.ID, c.errState(j.State), took, text)
	for _, o := range j.Outputs {
		c.Notef("  output %s  %s\n", oneLine(o.Name), size(o.Size))
	}
	if result := jsonText(j.Result); result != "" && result != "null" {
		c.Printf("%s\n", result)
	}
}

// errState colours a state on standard error.
func (c *console) errState(s store.State) string {
	if c.errTerm < 0 {
		return string(s)
	}
	return c.state(s)
}
