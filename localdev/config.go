package localdev

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

// DefaultDir is the default data directory, relative to the working directory.
const DefaultDir = ".piecework"

// Config configures a Stack. The zero value is valid.
type Config struct {
	// Dir is the data directory. It is made if missing. Default DefaultDir.
	Dir string
	// Store is the URL of the store: sqlite:///path/to/file, sqlite::memory: or mem://. The last is
	// gocloud's memory store, which reads every record on each query: for small amounts only.
	// PostgreSQL, postgres://..., needs its driver in Drivers. Default: the file piecework.db in Dir.
	Store string
	// Queues is the URL of the queues. Default: they are in the store, if it is PostgreSQL or a SQLite
	// file, so that all processes with that store share them; otherwise each process has its own, as
	// with mem://.
	Queues string
	// Blobs is the URL of the blobs: file:///path/to/folder or mem://. Default: the folder blobs in
	// Dir.
	Blobs string
	// Drivers opens Store, Queues and Blobs. A program that wants another service than those named above
	// registers its driver here, as drivers.New(sql.Register, files.Register) does for PostgreSQL.
	// Default: the drivers of SQLite, memory and directories.
	Drivers *drivers.Set
	// Pull names queues to pull from, in addition to the queues of the kinds that have a handler here.
	// If there are neither, the process submits and sweeps only.
	Pull []string
	// Worker configures the worker. SweepEvery is 1 second by default here, and DrainGrace 10
	// seconds. Its Queues and Submit are set: this worker pulls all queues.
	Worker worker.Options
	// Runtime configures the runtime. StopGrace is 5 seconds by default here.
	Runtime functions.Config
	// Timing configures the store. A zero field defaults to the field of [Timing]. Processes that
	// share a store should use the same timing.
	Timing store.Timing
	// Log is the log for operators. Runtime and Worker may have other logs. Default slog.Default().
	Log *slog.Logger
}

// Timing is the default of Config.Timing. Leases are short, because the process that notices a
// death runs on the same machine, with the same clock. The queues delay messages by up to an hour, so
// retries and schedules within an hour start to the millisecond. Sweep starts
// later ones.
func Timing() store.Timing {
	return store.Timing{
		Lease: 10 * time.Second, Grace: time.Minute, MaxGrace: time.Hour, Skew: 250 * time.Millisecond, Native: time.Hour,
	}
}

// withDir makes Dir absolute.
func (c Config) withDir() (Config, error) {
	var err error
	if c.Dir, err = filepath.Abs(cmp.Or(c.Dir, DefaultDir)); err != nil {
		return c, fmt.Errorf("%w: localdev: data directory %q: %w", functions.ErrConfig, c.Dir, err)
	}
	return c, nil
}

// withDefaults fills in defaults and refuses values that cannot work.
func (c Config) withDefaults(jobs *functions.Registry) (Config, error) {
	if jobs == nil {
		return c, fmt.Errorf("%w: localdev: the registry is nil", functions.ErrConfig)
	}
	c, err := c.withDir()
	if err != nil {
		return c, err
	}
	c.Pull = append(slices.Clone(c.Pull), jobs.Queues()...)
	slices.Sort(c.Pull)
	c.Pull = slices.Compact(c.Pull)
	var errs []error
	for _, q := range c.Pull {
		errs = append(errs, functions.CheckQueue(q))
	}
	if err := errors.Join(errs...); err != nil {
		return c, fmt.Errorf("%w: localdev: %w", functions.ErrConfig, err)
	}
	def := Timing()
	c.Timing.Lease = cmp.Or(c.Timing.Lease, def.Lease)
	c.Timing.Grace = cmp.Or(c.Timing.Grace, max(def.Grace, c.Timing.Lease))
	c.Timing.MaxGrace = cmp.Or(c.Timing.MaxGrace, max(def.MaxGrace, c.Timing.Grace))
	c.Timing.Skew = cmp.Or(c.Timing.Skew, def.Skew)
	c.Timing.Native = cmp.Or(c.Timing.Native, min(def.Native, c.Timing.MaxGrace)) // Recover looks MaxGrace ahead
	c.Worker.SweepEvery = cmp.Or(c.Worker.SweepEvery, time.Second)
	c.Worker.DrainGrace = cmp.Or(c.Worker.DrainGrace, 10*time.Second)
	c.Runtime.StopGrace = cmp.Or(c.Runtime.StopGrace, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Runtime.Log == nil {
		c.Runtime.Log = c.Log
	}
	return c, nil
}
