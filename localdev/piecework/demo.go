package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/demo"
)

// minKillPace leaves time to kill the worker in the middle of the job.
const minKillPace = time.Second

func demoCommand(c *console) *cobra.Command {
	o, kill := demo.Options{Out: c.Out, Width: c.Width(), Program: programName()}, false
	if c.Env["TERM"] == "dumb" {
		o.Width = 0
	}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a real job over real data, and kill its worker if you like",
		Long: `Finds the nearest of 3,376 airports for each of the 42,049 ZIP codes of the United States, as a job with
progress, checkpoints and two output files. Records, files and the worker are in this process, over the
directory --dir, where the demo puts the files: nearest.csv and by-state.csv.

The computation takes a tenth of a second. So that there is something to watch, the job waits between rows
until it has taken --pace in all; --pace 0 is full speed. With --json it runs at full speed unless --pace
is given.

With --kill the job runs in a process of its own, which is killed with SIGKILL in the middle. A worker in
this process goes on from the last checkpoint when the lease of the dead one has run out.

The exit status is 1 if a file differs from what an independent program computed. A demo that is
interrupted leaves its job behind: the same command goes on with it.`,
		Example: `  piecework demo
  piecework demo --pace 0 --json
  piecework demo --kill`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.JSON = c.JSON
			if c.JSON && !kill && !cmd.Flags().Changed("pace") {
				o.Pace = 0
			}
			var err error
			switch {
			case !kill:
				err = demo.Run(cmd.Context(), o)
			case o.Pace < minKillPace:
				return usage("--pace %v: the job would end before --kill can kill its worker; use %v or more", o.Pace, minKillPace)
			default:
				err = demo.Kill(cmd.Context(), o, demoProcess(cmd.Context(), o))
			}
			switch {
			case errors.Is(err, errInterrupted):
				c.Hintf("The same command goes on with the job.\n")
			case errors.Is(err, functions.ErrInvalid):
				return usage("%w", err)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Dir, "dir", "piecework-demo", "directory for the records and the files; made if missing")
	flags.DurationVar(&o.Pace, "pace", 4*time.Second, "how long the job takes at least; 0 is full speed (the default with --json)")
	flags.IntVar(&o.CheckpointEvery, "checkpoint-every", demo.DefaultCheckpointEvery, "rows between two checkpoints")
	flags.BoolVar(&kill, "kill", false, "kill the worker in the middle, and let another go on")
	return cmd
}

// demoProcess is the demo without --kill, in a process of its own.
func demoProcess(ctx context.Context, o demo.Options) *exec.Cmd {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	return exec.CommandContext(ctx, program, "demo", "--dir", o.Dir, "--pace", o.Pace.String(), //nolint:gosec // this very program
		"--checkpoint-every", strconv.Itoa(o.CheckpointEvery))
}

// programName is what the reader types to call this program. `go run` builds it where the reader
// cannot find it.
func programName() string {
	if program, err := os.Executable(); err == nil && strings.Contains(filepath.ToSlash(program), "/go-build") {
		return "go run ./localdev/piecework"
	}
	return "piecework"
}
