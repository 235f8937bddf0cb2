package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

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
	json  bool
}

// demoCommand is `piecework demo`: a real job over real data, which can be watched, and killed.
func demoCommand() *cobra.Command {
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
			cmd.SilenceUsage = true
			if f.json && !f.kill && !cmd.Flags().Changed("pace") {
				f.pace = 0
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			o := f.options(cmd)
			if f.kill {
				return stage.Kill(ctx, o)
			}
			return stage.Run(ctx, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", demoDir, "directory for the records and the files; made if there is none")
	flags.DurationVar(&f.pace, "pace", demoPace, "how long the job takes at least; 0 is full speed (the default with --json)")
	flags.IntVar(&f.every, "checkpoint-every", demo.DefaultCheckpointEvery, "rows from one checkpoint to the next")
	flags.BoolVar(&f.kill, "kill", false, "kill the worker in the middle, and compare with an undisturbed run")
	flags.BoolVar(&f.json, "json", false, "print one JSON document")
	cmd.AddCommand(demoWorkerCommand())
	return cmd
}

// options are the flags and the surroundings in the form that the stage wants.
func (f demoFlags) options(cmd *cobra.Command) stage.Options {
	out := cmd.OutOrStdout()
	return stage.Options{
		Dir: f.dir, Pace: f.pace, CheckpointEvery: f.every, JSON: f.json,
		Out: out, Width: demoWidth(out), Program: demoProgram(), Worker: demoWorkerProcess, Log: demoLog(cmd.ErrOrStderr()),
	}
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
func demoWorkerCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:    demoWorker,
		Short:  "Be the worker of a demo, until standard input ends",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return stage.Worker(ctx, dir, cmd.InOrStdin(), demoLog(cmd.ErrOrStderr()))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", demoDir, "directory of the demo")
	return cmd
}

// demoLog writes what an operator should know.
func demoLog(out io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// demoWidth is the width of the terminal behind out, 0 if there is none.
func demoWidth(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

// demoProgram is what the reader can type to call this program: `go run` builds it where nobody would look for it.
func demoProgram() string {
	if program, err := os.Executable(); err == nil && strings.Contains(filepath.ToSlash(program), "/go-build") {
		return "go run ./localdev/piecework"
	}
	return "piecework"
}
