package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/store"
)

func cancelCommand(c *console) *cobra.Command {
	var reason string
	do := func(ctx context.Context, client *apiclient.Client, id string) (functions.Info, error) {
		return client.Cancel(ctx, id, reason)
	}
	cmd := steer(c, "cancel", "Cancel jobs", "A waiting job is cancelled at once. A running job is told to stop."+manyHelp, do)
	cmd.Flags().StringVar(&reason, "reason", "", "why, to be kept with the job")
	return c.manyCommand(cmd, &many{
		did: "cancelled or told to stop", do: do, states: []store.State{store.Held, store.Scheduled, store.Queued, store.Running, store.Retrying, store.Blocked},
	})
}

func retryCommand(c *console) *cobra.Command {
	do := func(ctx context.Context, client *apiclient.Client, id string) (functions.Info, error) {
		return client.Retry(ctx, id)
	}
	cmd := steer(c, "retry", "Run failed or cancelled jobs again", "They get a new set of attempts, and continue from their last checkpoints."+manyHelp, do)
	return c.manyCommand(cmd, &many{did: "to run again", do: do, states: []store.State{store.Failed, store.Cancelled}, state: store.Failed})
}

func releaseCommand(c *console) *cobra.Command {
	return steer(c, "release", "Release held jobs", "",
		func(ctx context.Context, client *apiclient.Client, id string) (functions.Info, error) {
			return client.Release(ctx, id)
		})
}

// eachID applies one operation to some ids and prints each result; in JSON it prints all results in
// one document, or the only one. It continues after a refusal, prints all refusals but the last,
// and returns the last.
func eachID[T any](c *console, ids []string, do func(id string) (T, error), show func(T), all func([]T) any) error {
	var refused error
	done := []T{}
	for _, id := range ids {
		one, err := do(id)
		if err != nil {
			if refused != nil {
				c.report(refused)
			}
			refused = err
			continue
		}
		if done = append(done, one); !c.JSON {
			show(one)
		}
	}
	if c.JSON && len(ids) == 1 && refused == nil {
		return c.PrintJSON(done[0])
	}
	if c.JSON && len(ids) > 1 {
		if err := c.PrintJSON(all(done)); err != nil {
			return err
		}
	}
	return refused
}

// steer returns a command that applies one operation to jobs.
func steer(
	c *console, name, short, long string, do func(context.Context, *apiclient.Client, string) (functions.Info, error),
) *cobra.Command {
	return c.serverCommand(&cobra.Command{
		Use: name + " ID...", Short: short, Args: wantArgs(1, -1, "the ID of a job, or several"), Long: strings.TrimSpace(short+". "+long) + "\n\n" + idHelp + "\n\n" + exitHelp,
		RunE: func(cmd *cobra.Command, ids []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			f, err := findJobs(cmd.Context(), client, ids...)
			if err != nil {
				return err
			}
			return eachID(c, ids, func(id string) (functions.Info, error) {
				if id, err = f.whole(id); err != nil {
					return functions.Info{}, err
				}
				return do(cmd.Context(), client, id)
			},
				func(job functions.Info) { c.Printf("%s %s%s\n", job.ID, c.state(job.State), stopNote(job)) },
				func(jobs []functions.Info) any { return functions.List{Jobs: jobs} })
		},
	})
}

// stopNote says of a job that it was told to stop and has not stopped yet.
func stopNote(job functions.Info) string {
	if job.Cancel.IsZero() || job.Done() {
		return ""
	}
	return ", told to stop"
}
