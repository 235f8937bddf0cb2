package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/demo"
	"github.com/piecework/piecework/localdev/piecework/internal/demo/stage"
)

// Defaults of the demo.
const (
	demoDir  = "piecework-demo"
	demoPace = 4 * time.Second
)

// demoFlags are what the user can choose.
type demoFlags struct {
	dir   string
	pace  time.Duration
	every int
	kill  bool
}

// demoCommand is `piecework demo`: a real job over real data, which can be watched, and killed.
func demoCommand(c *console) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a real job over real data, and kill its worker if you like",
		Long: `Finds, for each of the 42,049 ZIP codes of the United States, the nearest of 3,376 airports, as a job with
progress, checkpoints and two output files, in a system of its own: records, files and a worker in this
process, over the directory --dir. The files are put there: nearest.csv and by-state.csv.

The computation takes a tenth of a second. So that there is something to watch, the job waits between rows
until it has taken --pace in all; --pace 0 is full speed. With --json it runs at full speed unless --pace
is given.

With --kill the job runs twice: once left alone, and once with a worker in a process of its own, which is
killed with SIGKILL in the middle. Another worker takes over when the dead one's lease has run out. The
demo tells what happened when, and compares both files byte for byte; the exit status is 1 if anything
differs.

A demo that is interrupted leaves its job behind: the same command goes on with it.`,
		Example: `  piecework demo
  piecework demo --pace 0 --json
  piecework demo --kill`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.JSON && !f.kill && !cmd.Flags().Changed("pace") {
				f.pace = 0
			}
			show := stage.Run
			if f.kill {
				show = stage.Kill
			}
			err := show(cmd.Context(), f.options(c))
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
	flags.StringVar(&f.dir, "dir", demoDir, "directory for the records and the files; made if there is none")
	flags.DurationVar(&f.pace, "pace", demoPace, "how long the job takes at least; 0 is full speed (the default with --json)")
	flags.IntVar(&f.every, "checkpoint-every", demo.DefaultCheckpointEvery, "rows from one checkpoint to the next")
	flags.BoolVar(&f.kill, "kill", false, "kill the worker in the middle, and compare with an undisturbed run")
	cmd.AddCommand(demoWorkerCommand(c))
	return cmd
}

// options are the flags and the console in the form that the stage wants.
func (f demoFlags) options(c *console) stage.Options {
	o := stage.Options{
		Dir: f.dir, Pace: f.pace, CheckpointEvery: f.every, JSON: c.JSON,
		Out: c.Out, Width: c.Width(), Program: demoProgram(), Worker: demoWorkerProcess,
	}
	if c.Env["TERM"] == "dumb" {
		o.Width = 0
	}
	return o
}

// demoWorker is the name of the hidden command that is a worker's process.
const demoWorker = "worker"

// demoWorkerProcess calls this program again, as a worker over the directory.
func demoWorkerProcess(ctx context.Context, dir string) *exec.Cmd {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	return exec.CommandContext(ctx, program, "demo", demoWorker, "--dir", dir) //nolint:gosec // it is this very program
}

// demoWorkerCommand is what demoWorkerProcess calls.
func demoWorkerCommand(c *console) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:    demoWorker,
		Short:  "Be the worker of a demo, until standard input ends",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return stage.Worker(cmd.Context(), dir, c.In, slog.New(slog.NewTextHandler(c.Err, nil)))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", demoDir, "directory of the demo")
	return cmd
}

// demoProgram is what the reader can type to call this program: `go run` builds it where nobody would look for it.
func demoProgram() string {
	if program, err := os.Executable(); err == nil && strings.Contains(filepath.ToSlash(program), "/go-build") {
		return "go run ./localdev/piecework"
	}
	return "piecework"
}
