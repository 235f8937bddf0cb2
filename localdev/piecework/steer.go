package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
)

func cancelCommand(c *console) *cobra.Command {
	var reason string
	cmd := steer(c, "cancel", "Cancel jobs", "A job that waits is cancelled at once. One that runs is told to stop.",
		func(ctx context.Context, client *apiclient.Client, id string) (functions.Info, error) {
			return client.Cancel(ctx, id, reason)
		})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever looks at the job later")
	return cmd
}

func retryCommand(c *console) *cobra.Command {
	return steer(c, "retry", "Run failed or cancelled jobs again", "They have a fresh set of attempts, and go on from their last checkpoints.",
		func(ctx context.Context, client *apiclient.Client, id string) (functions.Info, error) {
			return client.Retry(ctx, id)
		})
}

func releaseCommand(c *console) *cobra.Command {
	return steer(c, "release", "Let held jobs go", "",
		func(ctx context.Context, client *apiclient.Client, id string) (functions.Info, error) {
			return client.Release(ctx, id)
		})
}

// eachID does one thing to some ids, and shows what came of each; in JSON all together, or the only one. It goes on
// after one that is refused, and returns the last refusal when it has told of those before.
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

// steer is a command that does one thing to some jobs.
func steer(
	c *console, name, short, long string, do func(context.Context, *apiclient.Client, string) (functions.Info, error),
) *cobra.Command {
	return c.asks(&cobra.Command{
		Use: name + " ID...", Short: short, Args: takes(1, -1, "the ID of a job, or several"), Long: strings.TrimSpace(short+". "+long) + "\n\n" + exitHelp,
		RunE: func(cmd *cobra.Command, ids []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			return eachID(c, ids, func(id string) (functions.Info, error) { return do(cmd.Context(), client, id) },
				func(job functions.Info) { c.Printf("%s %s%s\n", job.ID, c.state(job.State), told(job)) },
				func(jobs []functions.Info) any { return functions.List{Jobs: jobs} })
		},
	})
}

// told is a word on a job that was asked to stop and has not yet.
func told(job functions.Info) string {
	if job.Cancel.IsZero() || job.Done() {
		return ""
	}
	return ", told to stop"
}
