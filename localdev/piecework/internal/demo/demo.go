// Package demo is the job that `piecework demo` runs: for each US ZIP code the nearest airport, as a handler that does
// what a long job should do.
//
//   - It goes on from its last checkpoint (LoadCheckpoint), also in the middle of a file.
//   - It saves one every so many rows (Checkpoint), and says how far it is (Progress).
//   - It lets go when the platform or the worker wants to stop (DeadlineNear, Continue).
//   - It stops when its context ends, and says with which cause.
//   - It writes two files (Output), which are visible only if this attempt wins.
//   - It shares what is costly to load among the jobs of a process (Share).
//
// However often it is interrupted, its files are the same to the byte: the computation, in package airports, counts in
// integers and does not depend on where it was cut. NearestSHA256 and ByStateSHA256 are what must come out.
//
// job.go has the handler, run.go one attempt at it, result.go what it returns.
package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/airports"
)

// Kind is the name under which Register and Declare register the job.
const Kind = "demo.airports"

// The job's outputs.
const (
	NearestFile = "nearest.csv"  // a line for each ZIP code, in the order of the input
	ByStateFile = "by-state.csv" // a line for each state
)

// The sums of the two files, found by another program in another language with another formula, comparing every ZIP
// code with every airport.
const (
	NearestSHA256 = "9cc8aa3ecf60097629c3f8d48bc92e12ced97eec97104ec2e644871cf70352f8"
	ByStateSHA256 = "dd604235e6d87e0fa51dec3c4ea54498f90bff8d90f79d79516973d73a84e626"
)

// The input: the rows of the two tables.
const (
	ZIPCodes = 42049
	Airports = 3376
)

// DefaultCheckpointEvery is after how many rows a checkpoint is saved.
const DefaultCheckpointEvery = 2000

// Args are the job's arguments. The zero value is fine.
type Args struct {
	// CheckpointEvery is after how many rows a checkpoint is saved; 0 means DefaultCheckpointEvery.
	CheckpointEvery int `json:"checkpoint_every,omitempty"`
	// PaceMS is how long the whole table takes at least, in milliseconds: the job waits between rows, so that people
	// can watch what takes a tenth of a second at full speed. 0 does not wait.
	PaceMS int64 `json:"pace_ms,omitempty"`
}

// maxPace is the longest pace; more would run into the attempt's timeout.
const maxPace = 10 * time.Minute

// Check says what is wrong with the arguments.
func (a Args) Check() error {
	switch {
	case a.CheckpointEvery < 0:
		return fmt.Errorf("checkpoint_every is %d: must be a number of rows, or 0 for %d", a.CheckpointEvery, DefaultCheckpointEvery)
	case a.PaceMS < 0 || a.PaceMS > maxPace.Milliseconds():
		return fmt.Errorf("pace_ms is %d: must be 0 (full speed) to %d milliseconds", a.PaceMS, maxPace.Milliseconds())
	}
	return nil
}

// Every is CheckpointEvery with its default.
func (a Args) Every() int {
	if a.CheckpointEvery == 0 {
		return DefaultCheckpointEvery
	}
	return a.CheckpointEvery
}

// Register registers the job with its handler.
func Register(reg *functions.Registry) {
	tables := functions.Share(reg, "tables of the demo", func(context.Context) (*airports.Data, error) {
		return airports.Load()
	}, nil)
	functions.Handle(reg, Kind, handler{tables}.nearest, options()...)
}

// Declare registers the job without its handler, for a process that submits it to another.
func Declare(reg *functions.Registry) { functions.Declare[Args, Result](reg, Kind, options()...) }

// options are short, because somebody is watching: a failure is not waited out.
func options() []functions.KindOption {
	return []functions.KindOption{
		functions.Timeout(2 * maxPace), functions.Retries(functions.Constant(0)),
	}
}
