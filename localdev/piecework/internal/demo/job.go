package demo

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
)

// Kind is the kind of the demo's job.
const Kind = "demo.airports"

// The job's outputs.
const (
	nearestFile = "nearest.csv"  // a line for each ZIP code, in the order of the input
	byStateFile = "by-state.csv" // a line for each state
)

// Rows of the two tables.
const (
	zipCodes = 42049
	airports = 3376
)

const (
	// DefaultCheckpointEvery is the number of rows between two checkpoints.
	DefaultCheckpointEvery = 2000
	// stride is the number of rows between two looks at the clock, the deadline and the context.
	stride = 50
	// maxPace is the longest pace. A longer one would run into the attempt's timeout.
	maxPace = 10 * time.Minute
)

// Args are the job's arguments. The zero value is valid.
type Args struct {
	// CheckpointEvery is the number of rows between two checkpoints; 0 means
	// DefaultCheckpointEvery.
	CheckpointEvery int `json:"checkpoint_every,omitempty"`
	// PaceMS slows the job down to this many milliseconds for the whole table; 0 is full speed.
	PaceMS int64 `json:"pace_ms,omitempty"`
}

// check refuses arguments out of range.
func (a Args) check() error {
	switch {
	case a.CheckpointEvery < 0:
		return fmt.Errorf("checkpoint_every is %d: must be a number of rows, or 0 for %d", a.CheckpointEvery, DefaultCheckpointEvery)
	case a.PaceMS < 0 || a.PaceMS > maxPace.Milliseconds():
		return fmt.Errorf("pace_ms is %d: must be 0 (full speed) to %d milliseconds", a.PaceMS, maxPace.Milliseconds())
	}
	return nil
}

// Result is what the job returns.
type Result struct {
	Rows        int `json:"rows"`     // ZIP codes
	Airports    int `json:"airports"` // with which each ZIP code was compared
	States      int `json:"states"`
	FromRow     int `json:"from_row"`    // where the last invocation began
	Checkpoints int `json:"checkpoints"` // saved by all attempts
}

// cursor is the job's checkpoint: the rows before Row are written, and counted in States.
type cursor struct {
	Row         int              `json:"row"`
	States      map[string]state `json:"states"`
	Checkpoints int              `json:"checkpoints"` // including this one
}

// Register registers the job. A failed attempt is retried at once, because people watch.
func Register(reg *functions.Registry) {
	shared := functions.Share(reg, "tables of the demo", func(context.Context) (*tables, error) { return load() }, nil)
	functions.Handle(reg, Kind, handler{shared}.nearest, functions.Timeout(2*maxPace), functions.Retries(functions.Constant(0)))
}

// handler has what the job's attempts in one process share.
type handler struct {
	tables *functions.Resource[*tables]
}

// nearest is the job. It goes on where the last checkpoint stands.
func (h handler) nearest(ctx context.Context, job *functions.Job[Args]) (Result, error) {
	if err := job.Args.check(); err != nil {
		return Result{}, functions.Permanent(err)
	}
	t, err := h.tables.Get(ctx)
	if err != nil {
		return Result{}, err
	}
	r := &run{job: job, tables: t, rows: len(t.zipCodes)}
	if err := r.begin(ctx); err != nil {
		return Result{}, err
	}
	start, from, every := time.Now(), r.at.Row, cmp.Or(job.Args.CheckpointEvery, DefaultCheckpointEvery)
	pace := time.Duration(job.Args.PaceMS) * time.Millisecond / time.Duration(r.rows)
	for r.at.Row < r.rows {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		save := min((r.at.Row/every+1)*every, r.rows)
		if err := r.compute(min(r.at.Row+stride, save)); err != nil {
			return Result{}, err
		}
		switch {
		case r.at.Row == r.rows: // what follows is cheap
		case job.DeadlineNear(): // asked after some rows, so that every invocation gets on
			r.at.Checkpoints++
			return Result{}, functions.Continue(r.at)
		case r.at.Row == save:
			r.at.Checkpoints++
			if err := job.Checkpoint(ctx, r.at); err != nil {
				return Result{}, err
			}
		}
		if err := sleepUntil(ctx, start.Add(pace*time.Duration(r.at.Row-from))); err != nil {
			return Result{}, err
		}
	}
	if err := r.end(ctx); err != nil {
		return Result{}, err
	}
	return Result{
		Rows: r.rows, Airports: len(t.airports), States: len(r.at.States), FromRow: from, Checkpoints: r.at.Checkpoints,
	}, nil
}

// run is one invocation of the job.
type run struct {
	*tables

	job  *functions.Job[Args]
	rows int
	at   cursor
	file *functions.Output
	csv  *csv.Writer
}

// begin loads the last checkpoint and opens the first file, which holds what it held at the
// checkpoint.
func (r *run) begin(ctx context.Context) error {
	r.at.States = map[string]state{}
	resumed, err := r.job.LoadCheckpoint(ctx, &r.at)
	if err != nil {
		return err
	}
	if r.file, err = r.job.Output(ctx, nearestFile); err != nil {
		return err
	}
	r.csv = csv.NewWriter(r.file)
	if resumed {
		return nil
	}
	return r.csv.Write([]string{"zip_code", "iata", "airport", "distance_km"})
}

// compute computes and writes the rows before until, and reports progress. A checkpoint keeps what
// the file holds, so the CSV writer holds back nothing at the end.
func (r *run) compute(until int) error {
	var zip []string
	for ; r.at.Row < until; r.at.Row++ {
		zip = r.zipCodes[r.at.Row].row // zip_code, latitude, longitude, city, state, county
		airport, km := r.tables.nearest(&r.zipCodes[r.at.Row])
		r.at.States[zip[4]] = r.at.States[zip[4]].plus(km)
		if err := r.csv.Write([]string{zip[0], airport.row[0], airport.row[1], decimal(km)}); err != nil {
			return err
		}
	}
	r.job.Progress(int64(r.at.Row), int64(r.rows), fmt.Sprintf("%s %s, %s", zip[0], zip[3], zip[4]))
	r.csv.Flush()
	return r.csv.Error()
}

// end closes the first file and writes the second.
func (r *run) end(ctx context.Context) error {
	if err := r.file.Close(); err != nil {
		return err
	}
	byState, err := r.job.Output(ctx, byStateFile)
	if err != nil {
		return err
	}
	if err := writeStates(byState, r.at.States); err != nil {
		return err
	}
	return byState.Close()
}

// sleepUntil waits until t, or until the context ends.
func sleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
