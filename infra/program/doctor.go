package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/doctor"
	"github.com/piecework/piecework/infra/drivers"
)

func (p *program) doctorCommand() *cobra.Command {
	asJSON, patience := false, 10*time.Second
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the deployment by using it",
		Long: "Tries on the store, the queues and the bucket what workers do with them, and removes what it wrote. Each finding is a\n" +
			"line: ok, warn or FAIL, what was tried, what came of it, and what to do. The exit status is 1 if anything failed.\n\n" +
			"Set PIECEWORK_PROBE_QUEUE to a queue that no worker pulls from: without it, the doctor tries the queues of the jobs,\n" +
			"where workers may take its hints, and it may take and give back a message of a job.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if patience < time.Second || patience > time.Hour {
				return fmt.Errorf("%w: --patience %v: want a duration from 1s to 1h", errUsage, patience)
			}
			return p.doctor(cmd.Context(), asJSON, patience)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	cmd.Flags().DurationVar(&patience, "patience", patience, "how long to wait for each answer")
	return cmd
}

// doctor checks the deployment.
func (p *program) doctor(ctx context.Context, asJSON bool, patience time.Duration) error {
	env, err := ReadEnvironment(p.environ)
	if err = errors.Join(err, env.CheckFunctionTimeout()); err != nil {
		return err
	}
	if err := p.app.Jobs.Err(); err != nil {
		return fmt.Errorf("%w: %w", functions.ErrConfig, err)
	}
	report := struct {
		OK       bool             `json:"ok"` // nothing has failed
		Findings []doctor.Finding `json:"findings"`
	}{}
	sick := doctor.Check(ctx, doctor.Options{
		Set: drivers.New(p.app.Drivers...), Config: env.Config.WithDefaults(), Queues: p.app.Jobs.Queues(), ProbeQueue: env.ProbeQueue,
		Submissions: env.Submit, FunctionTimeout: env.FunctionTimeout, Patience: patience,
		Report: func(f doctor.Finding) error {
			report.Findings = append(report.Findings, f)
			if asJSON {
				return nil
			}
			_, err := fmt.Fprintln(p.out, f)
			return err
		},
	})
	if asJSON && (sick == nil || errors.Is(sick, doctor.ErrUnhealthy)) {
		report.OK = sick == nil
		enc := json.NewEncoder(p.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(report); err != nil {
			return err
		}
	}
	return sick
}
