package command

import (
	"context"

	"github.com/spf13/cobra"
)

func (p *program) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Run jobs until told to stop",
		Long: "Pulls from the queues of all jobs that this program was built with, runs them, and sweeps.\n\n" +
			"The first SIGTERM or SIGINT stops it gracefully: running jobs finish, or are handed back with their checkpoints.\n" +
			"A second leaves at once, which loses nothing either: the jobs start again when their leases have run out.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.serve(cmd.Context(), func(ctx context.Context, d *Deployment) error { return d.Pull(ctx) })
		},
	}
}
