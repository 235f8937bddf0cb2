package localdev

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/store"
)

// DefaultDir is the data directory, unless Config names another: below the working directory.
const DefaultDir = ".piecework"

// Config says where a Stack keeps its data, and how it runs. The zero value is fine.
type Config struct {
	// Dir is the data directory. It is made if there is none. Default DefaultDir.
	Dir string
	// Store is the URL of the store: sqlite:///path/to/file, sqlite::memory:, postgres://... or mem://. The last is
	// gocloud's own memory store, which looks at every record on each query: for small things only. Default: the file
	// piecework.db in Dir.
	Store string
	// Blobs is the URL of the blobs: file:///path/to/folder or mem://, or that of a driver which the program imports.
	// Default: the folder blobs in Dir.
	Blobs string
	// Queues names the lanes of work to pull from, beside those of the registered kinds.
	Queues []string
	// Worker configures the worker. SweepEvery is 1 second by default here, and DrainGrace 10 seconds.
	Worker worker.Options
	// Runtime configures the runtime. StopGrace is 5 seconds by default here.
	Runtime functions.Config
	// Timing configures the store; a field that is zero means that of [Timing]. Processes that share a store should
	// have the same.
	Timing store.Timing
	// Log gets what an operator should know, unless Runtime or Worker have logs of their own. Default slog.Default().
	Log *slog.Logger
}

// Timing is the default of Config.Timing. Leases are short, because the process that notices a death is the next one
// on the same machine, with the same clock. The queue in the process keeps messages back for up to an hour, so that
// retries and schedules within it start to the millisecond; later ones are started by sweep.
func Timing() store.Timing {
	return store.Timing{
		Lease: 10 * time.Second, Grace: time.Minute, MaxGrace: time.Hour, Skew: 250 * time.Millisecond, Native: time.Hour,
	}
}

// withDefaults fills in what is missing, and says what cannot work.
func (c Config) withDefaults(jobs *functions.Registry) (Config, error) {
	if jobs == nil {
		return c, fmt.Errorf("%w: localdev: the registry is nil", functions.ErrConfig)
	}
	if c.Dir == "" {
		c.Dir = DefaultDir
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return c, fmt.Errorf("%w: localdev: data directory %q: %w", functions.ErrConfig, c.Dir, err)
	}
	c.Queues = append(append(slices.Clone(c.Queues), jobs.Queues()...), functions.DefaultQueue)
	slices.Sort(c.Queues)
	c.Queues = slices.Compact(c.Queues)
	var errs []error
	for _, q := range c.Queues {
		errs = append(errs, functions.CheckQueue(q))
	}
	if err := errors.Join(errs...); err != nil {
		return c, fmt.Errorf("%w: localdev: %w", functions.ErrConfig, err)
	}
	def := Timing()
	set(&c.Timing.Lease, def.Lease)
	set(&c.Timing.Grace, max(def.Grace, c.Timing.Lease))
	set(&c.Timing.MaxGrace, max(def.MaxGrace, c.Timing.Grace))
	set(&c.Timing.Skew, def.Skew)
	set(&c.Timing.Native, min(def.Native, c.Timing.MaxGrace)) // Recover looks ahead as far as MaxGrace
	set(&c.Worker.SweepEvery, time.Second)
	set(&c.Worker.DrainGrace, 10*time.Second)
	set(&c.Runtime.StopGrace, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Runtime.Log == nil {
		c.Runtime.Log = c.Log
	}
	return c, nil
}

func set(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}
