package demo

import (
	"context"
	"encoding/csv"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/airports"
)

// run is one attempt at the job.
type run struct {
	job   *functions.Job[Args]
	data  *airports.Data
	start time.Time

	at   Cursor
	from int // the row at which this attempt began
	out  *functions.Output
	csv  *csv.Writer
	last airports.Match // for the progress
}

// begin takes up the last checkpoint, and the file where it stood then.
func (r *run) begin(ctx context.Context) error {
	resumed, err := r.job.LoadCheckpoint(ctx, &r.at)
	if err != nil {
		return err
	}
	if err := r.at.check(r.data.Len()); err != nil {
		return functions.Permanent(err)
	}
	r.from = r.at.Row
	if r.out, err = r.job.Output(ctx, NearestFile); err != nil {
		return err
	}
	r.csv = csv.NewWriter(r.out)
	if resumed {
		return nil
	}
	return airports.WriteHeader(r.csv)
}

// next is the row at which the next stride ends: at the latest where a checkpoint is due, or the table ends.
func (r *run) next() int {
	every := r.job.Args.Every()
	checkpoint := (r.at.Row/every + 1) * every
	return min(r.at.Row+stride, checkpoint, r.data.Len())
}

// rows computes the rows before until, and saves a checkpoint if one is due. The end of the table needs none: what
// follows is cheap.
func (r *run) rows(ctx context.Context, until int) error {
	for ; r.at.Row < until; r.at.Row++ {
		r.last = r.data.Nearest(r.at.Row)
		r.at.Stats.Add(r.last)
		if err := airports.WriteRow(r.csv, r.last); err != nil {
			return err
		}
	}
	r.job.Progress(int64(r.at.Row), int64(r.data.Len()), fmt.Sprintf("%s %s, %s", r.last.ZIPCode, r.last.City, r.last.State))
	if r.at.Row%r.job.Args.Every() == 0 && r.at.Row < r.data.Len() {
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	return r.pace(ctx)
}

// save saves a checkpoint. What the CSV writer holds back must reach the file first, because the checkpoint keeps of
// the file what it holds at that moment.
func (r *run) save(ctx context.Context) error {
	if r.csv.Flush(); r.csv.Error() != nil {
		return r.csv.Error()
	}
	r.at.Checkpoints++
	return r.job.Checkpoint(ctx, r.at)
}

// letGo saves what there is and asks to go on in another invocation.
func (r *run) letGo() (Result, error) {
	if r.csv.Flush(); r.csv.Error() != nil {
		return Result{}, r.csv.Error()
	}
	r.at.Checkpoints++
	return Result{}, functions.Continue(r.at)
}

// pace waits until this row's time has come.
func (r *run) pace(ctx context.Context) error {
	whole := time.Duration(r.job.Args.PaceMS) * time.Millisecond
	due := r.start.Add(whole * time.Duration(r.at.Row-r.from) / time.Duration(r.data.Len()))
	wait := time.Until(due)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end completes the first file and writes the second.
func (r *run) end(ctx context.Context) error {
	if r.csv.Flush(); r.csv.Error() != nil {
		return r.csv.Error()
	}
	if err := r.out.Close(); err != nil {
		return err
	}
	byState, err := r.job.Output(ctx, ByStateFile)
	if err != nil {
		return err
	}
	if err := r.at.Stats.WriteCSV(byState); err != nil {
		return err
	}
	return byState.Close()
}
