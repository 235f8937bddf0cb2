package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
)

// errSick says that the doctor found something that must be mended.
var errSick = errors.New("the deployment does not work")

// level says how bad a finding is.
type level string

const (
	levelOK   level = "ok"
	levelWarn level = "warn"
	levelFail level = "FAIL"
)

// finding is one thing that the doctor tried.
type finding struct {
	Level  level  `json:"level"`
	What   string `json:"what"`
	Why    string `json:"why"`
	Remedy string `json:"remedy,omitempty"` // none if it is ok
}

// String is the finding on one line.
func (f finding) String() string {
	text := fmt.Sprintf("%-4s %s: %s", f.Level, f.What, f.Why)
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return strings.Join(strings.Fields(text), " ")
}

// examined is what --json prints.
type examined struct {
	OK       bool      `json:"ok"` // nothing has failed
	Findings []finding `json:"findings"`
}

// probePrefix begins the ids of what the doctor writes.
const probePrefix = "doctor-"

// doctor examines one deployment.
type doctor struct {
	env      settings
	set      *drivers.Set
	lanes    []string // of the jobs
	patience time.Duration
	timeout  time.Duration // of the function that runs jobs; 0: there is none, as far as is known
	id       string        // of the probe, and what all else that it writes begins with
	troubles *troubles     // what the queues log
	to       io.Writer     // gets findings as they are made; nil: nobody
	found    examined
	lost     error // findings could not be written
}

func (p *program) doctorCommand() *cobra.Command {
	asJSON, patience := false, 10*time.Second
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the deployment by using it",
		Long: "Tries on the store, the queues and the bucket what workers do with them, and removes what it wrote. Each finding is a\n" +
			"line: ok, warn or FAIL, what was tried, what came of it, and what to do. The exit status is 1 if anything failed.\n\n" +
			"Set " + envProbe + " to a lane that no worker pulls from: without it, the doctor tries the lanes of the jobs,\n" +
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

// doctor examines the deployment.
func (p *program) doctor(ctx context.Context, asJSON bool, patience time.Duration) error {
	env, err := readEnv(p.environ)
	if err != nil {
		return err
	}
	if err := p.app.Jobs.Err(); err != nil {
		return fmt.Errorf("%w: %w", functions.ErrConfig, err)
	}
	d := &doctor{
		env: env, set: drivers.New(p.app.Drivers...), lanes: p.app.Jobs.Queues(), patience: patience,
		id: probePrefix + uuid.NewString(), troubles: newTroubles(), found: examined{OK: true},
	}
	if d.timeout, err = env.FunctionTimeout(); err != nil {
		return err
	}
	d.set.LogTo(d.troubles.logger())
	if !asJSON {
		d.to = p.out
	}
	for _, examine := range []func(context.Context){d.store, d.queues, d.blobs} {
		if examine(ctx); d.lost != nil {
			return d.lost
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("doctor: stopped before it had tried everything: %w", err)
		}
	}
	if asJSON {
		enc := json.NewEncoder(p.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(d.found); err != nil {
			return err
		}
	}
	if !d.found.OK {
		return errSick
	}
	return nil
}

// add notes a finding.
func (d *doctor) add(f finding) {
	d.found.Findings = append(d.found.Findings, f)
	d.found.OK = d.found.OK && f.Level != levelFail
	if d.to != nil {
		_, err := fmt.Fprintln(d.to, f)
		d.lost = errors.Join(d.lost, err)
	}
}

func (d *doctor) okf(what, format string, args ...any) {
	d.add(finding{Level: levelOK, What: what, Why: fmt.Sprintf(format, args...)})
}

func (d *doctor) warn(what, why, remedy string) { d.add(finding{levelWarn, what, why, remedy}) }

func (d *doctor) fail(what, why, remedy string) { d.add(finding{levelFail, what, why, remedy}) }

// failed notes what failed with an error.
func (d *doctor) failed(what string, err error, r remedies) {
	d.fail(what, err.Error(), d.remedy(err, r))
}

// remedy says what to do about an error: what to grant, if its driver can tell.
func (d *doctor) remedy(err error, r remedies) string {
	if text := d.set.Denied(err); text != "" {
		return text
	}
	return r.of(err)
}

// try runs one step, which has as long as the doctor is patient.
func (d *doctor) try(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	return step(ctx)
}

// after waits, and reports whether ctx still runs then.
func after(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
