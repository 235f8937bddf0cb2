// Package demo is `piecework demo`: a real job over real data that people can watch, interrupt and
// kill.
//
// For each US ZIP code the job finds the nearest airport. Its handler does what a long job should
// do:
//
//   - It goes on from its last checkpoint (LoadCheckpoint), also in the middle of a file.
//   - It saves a checkpoint every so many rows (Checkpoint) and reports progress (Progress).
//   - It lets go when the platform or the worker wants to stop (DeadlineNear, Continue).
//   - It stops when its context ends, with the context's cause.
//   - It writes two files (Output), which are visible only if the attempt wins.
//   - It shares the tables among the jobs of a process (Share).
//
// However often it is interrupted, its files are the same to the byte.
//
// demo.go runs the job in this process, kill.go kills its process in the middle and goes on,
// report.go prints; job.go has the job, tables.go its computation, files.go what lies in the demo's
// directory.
package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/store"
)

// Options say how the demo runs.
type Options struct {
	// Dir is the directory of the system's data and of the job's files.
	Dir string
	// Pace slows the job down to this duration; 0 is full speed.
	Pace time.Duration
	// CheckpointEvery is the number of rows between two checkpoints; 0 means
	// DefaultCheckpointEvery.
	CheckpointEvery int
	// JSON prints one JSON document at the end, on one line, and nothing else.
	JSON bool
	// Out is what the demo prints on.
	Out io.Writer
	// Width is the width of the terminal behind Out in columns. 0 means no terminal: plain lines.
	Width int
	// Program is what the reader types to call this program: "piecework".
	Program string
}

// Report is the outcome of the job.
type Report struct {
	Job      string                  `json:"job"`
	Kind     string                  `json:"kind"`
	State    store.State             `json:"state"`
	Seconds  float64                 `json:"seconds"` // in this process
	PaceMS   int64                   `json:"pace_ms"`
	LeftAt   int64                   `json:"left_at_row,omitempty"` // the progress of an earlier demo's job
	Kill     *Killed                 `json:"kill,omitempty"`
	Attempts []functions.AttemptInfo `json:"attempts"`
	Files    []File                  `json:"files"`
	Result   Result                  `json:"result"`
}

// ErrDiffers means that a file, or the way to it, is not as it must be.
var ErrDiffers = errors.New("the demo found a difference")

// Run runs the job in a system in this process. It goes on with a job that an interrupted demo left
// in the directory; otherwise it submits one. It returns ErrDiffers if a file has the wrong sum.
func Run(ctx context.Context, o Options) error { return o.run(ctx, nil) }

func (o Options) run(ctx context.Context, killed *Killed) (err error) {
	args := Args{CheckpointEvery: o.CheckpointEvery, PaceMS: o.Pace.Milliseconds()}
	if err := args.check(); err != nil {
		return fmt.Errorf("%w: %w", functions.ErrInvalid, err)
	}
	log, closeLog, err := prepare(o.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	stack, err := start(ctx, o.Dir, log)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, stack.Stop(ctx))
	}()
	client, began := stack.Client(), time.Now()
	job, err := submit(ctx, client, args)
	if err != nil {
		return err
	}
	r := &Report{Job: job.ID, Kind: Kind, Kill: killed}
	if job.Progress != nil {
		r.LeftAt = job.Progress.Done
	}
	o.opening(r)
	info, err := o.follow(ctx, client, job.ID)
	if err != nil {
		return err
	}
	if r.Result, err = functions.Kind[any, Result](info.Kind).Result(info); err != nil {
		return err
	}
	if r.Files, err = fetch(ctx, client, job.ID, o.Dir); err != nil {
		return err
	}
	_ = json.Unmarshal(info.Args, &args) // of a job that was left, they may be others; the handler has read them
	r.State, r.Attempts, r.PaceMS = info.State, info.Attempts, args.PaceMS
	r.Seconds = time.Since(began).Round(time.Millisecond).Seconds()
	err = r.compare(args)
	if o.JSON {
		return errors.Join(json.NewEncoder(o.Out).Encode(r), err)
	}
	o.ending(r)
	return err
}

// start starts a system over a directory. A dead worker is noticed within about two seconds.
func start(ctx context.Context, dir string, log *slog.Logger) (*localdev.Stack, error) {
	jobs := functions.NewRegistry()
	Register(jobs)
	cfg := localdev.Config{
		Dir: dir, Log: log, Runtime: functions.Config{ProgressEvery: 20 * time.Millisecond},
		Timing: store.Timing{Lease: 2 * time.Second, Grace: 2 * time.Second, Skew: 100 * time.Millisecond},
	}
	cfg.Worker.SweepEvery = 200 * time.Millisecond
	return localdev.Start(ctx, jobs, cfg)
}

// submit returns the job that has not ended, or submits a new one.
func submit(ctx context.Context, client *functions.Client, args Args) (functions.Info, error) {
	list, err := client.List(ctx, functions.ListFilter{Kind: Kind, Limit: 100})
	if err != nil {
		return functions.Info{}, err
	}
	for _, job := range list.Jobs {
		if !job.Done() {
			return job, nil
		}
	}
	receipt, err := client.Submit(ctx, Kind, args)
	return functions.Info{ID: receipt.ID}, err
}

// follow shows the progress of a job until it has succeeded.
func (o Options) follow(ctx context.Context, client *functions.Client, id string) (functions.Info, error) {
	p := newProgress(o)
	defer p.line.Clear()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := client.Get(ctx, id)
		if err != nil {
			return info, err
		}
		p.show(info)
		switch {
		case info.State == store.Succeeded:
			return info, nil
		case info.Done():
			return info, fmt.Errorf("job %s is %s: %s", id, info.State, info.Error+info.Reason)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return info, fmt.Errorf("stopped: %w", context.Cause(ctx))
		}
	}
}

// compare returns an error that wraps ErrDiffers for each file with another sum than the
// independent program's, and for a killed job that did not go on from its last checkpoint.
func (r *Report) compare(args Args) error {
	var errs []error
	differ := func(format string, values ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrDiffers}, values...)...))
	}
	for _, f := range r.Files {
		if f.SHA256 != f.Want {
			differ("%s has the sum %s, must have %s", f.Path, f.SHA256, f.Want)
		}
	}
	if r.Kill == nil {
		return errors.Join(errs...)
	}
	// Progress may be one checkpoint ahead of the checkpoint.
	every := int64(cmp.Or(args.CheckpointEvery, DefaultCheckpointEvery))
	if saved := (r.LeftAt - 1) / every * every; int64(r.Result.FromRow) < saved {
		differ("the second worker went on from row %d, the last checkpoint stood at row %d", r.Result.FromRow, saved)
	}
	if len(r.Attempts) < 2 || r.Attempts[0].Outcome != store.OutcomeLost {
		differ("%d attempts, the first not lost; want a lost one and another", len(r.Attempts))
	}
	return errors.Join(errs...)
}
