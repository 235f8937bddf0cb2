// Package stage puts the demo on: it starts a system, lets the demo's job run where people can watch it, and tells
// what came of it, in words or as JSON.
//
// [Run] is `piecework demo`: everything in this process. [Kill] is `piecework demo --kill`: the worker is a process of
// its own, which runs [Worker] and is killed in the middle.
//
// run.go and kill.go have the two shows, watch.go what Kill sees of the job from outside, process.go the worker's
// process, files.go and dir.go what lies in the directory, report.go and story.go what is printed, and bar.go the
// progress.
package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/localdev/piecework/internal/demo"
	"github.com/piecework/piecework/store"
)

// Options say how the demo is shown.
type Options struct {
	// Dir is the directory that the system keeps its data in, and where the files appear.
	Dir string
	// Pace is how long the job takes at least; 0 is full speed.
	Pace time.Duration
	// CheckpointEvery is after how many rows the job saves a checkpoint; 0 is the job's default.
	CheckpointEvery int
	// JSON prints one JSON document at the end, and nothing else.
	JSON bool
	// Out gets what is printed.
	Out io.Writer
	// Width is that of the terminal behind Out, in columns; 0 means that it is none, and gets plain lines.
	Width int
	// Program is what the reader types to call this program: "piecework".
	Program string
	// Worker makes the command of a process that calls the function Worker over dir. Kill needs it.
	Worker func(ctx context.Context, dir string) *exec.Cmd
}

// ErrDiffers says that a file, or the way to it, is not what it must be. The report says what.
var ErrDiffers = errors.New("the demo found a difference")

// MinKillPace is the shortest pace at which a job can be killed in the middle and not at its ends.
const MinKillPace = time.Second

// args are the job's arguments.
func (o Options) args() demo.Args {
	return demo.Args{CheckpointEvery: o.CheckpointEvery, PaceMS: o.Pace.Milliseconds()}
}

// check refuses options that cannot work.
func (o Options) check() error {
	if err := o.args().Check(); err != nil {
		return fmt.Errorf("%w: %w", functions.ErrInvalid, err)
	}
	return nil
}

// checkKill refuses what leaves no middle to kill in.
func (o Options) checkKill() error {
	const parts = 5 // two checkpoints before the kill, and some rows after it
	switch {
	case o.Pace < MinKillPace:
		return fmt.Errorf("%w: at a pace of %v the job is over before it can be killed in the middle; use %v or more",
			functions.ErrInvalid, o.Pace, MinKillPace)
	case o.CheckpointEvery > demo.ZIPCodes/parts:
		return fmt.Errorf("%w: with a checkpoint every %s rows there are too few of them to go on from; use %s or fewer",
			functions.ErrInvalid, thousands(o.CheckpointEvery), thousands(demo.ZIPCodes/parts))
	case o.Worker == nil:
		return fmt.Errorf("%w: Kill needs Options.Worker", functions.ErrConfig)
	}
	return o.check()
}

// timing makes a dead worker be noticed within two seconds or so: somebody is watching.
func timing() store.Timing {
	return store.Timing{Lease: 2 * time.Second, Grace: 2 * time.Second, Skew: 100 * time.Millisecond}
}

// start starts a system over a directory, with the job's handler.
func start(ctx context.Context, dir string, log *slog.Logger) (*localdev.Stack, error) {
	reg := functions.NewRegistry()
	demo.Register(reg)
	cfg := localdev.Config{
		Dir: dir, Timing: timing(), Log: log, Runtime: functions.Config{ProgressEvery: 20 * time.Millisecond},
	}
	cfg.Worker.SweepEvery = 200 * time.Millisecond
	return localdev.Start(ctx, reg, cfg)
}

// stop ends a system, also when the context of the show has ended.
func stop(ctx context.Context, stack *localdev.Stack) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return stack.Stop(ctx)
}

// Worker is a worker's process: it runs the jobs of a directory until the context or the input ends. The input is a
// pipe from the process that started it, so that no worker outlives its demo.
func Worker(ctx context.Context, dir string, in io.Reader, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in) // any end will do
		cancel()
	}()
	stack, err := start(ctx, dir, log)
	if ctx.Err() != nil && err != nil {
		return nil // it was told to end before it had begun
	}
	if err != nil {
		return err
	}
	<-ctx.Done()
	return stop(ctx, stack)
}
