package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers"
)

// closeTime is how long Close may take.
const closeTime = 15 * time.Second

// Config configures a System. Store is required; Queues and Blobs are where it does not settle them,
// as [drivers.Config.WithDefaults] says. The zero value of each other field means its default.
type Config struct {
	drivers.Config

	Worker  worker.Options
	Runtime functions.Config
	// Log gets what an operator should know. Runtime and Worker may have other logs. Default
	// slog.Default().
	Log *slog.Logger
}

// System is Piecework within a program. Open makes one. It is safe for concurrent use.
type System struct {
	rt     *functions.Runtime
	worker *worker.Worker
	opened *drivers.Opened
	log    *slog.Logger
	queue  string // that Health opens
	ran    atomic.Bool
	health health
}

// Open opens the backends that cfg names, with the drivers of set. The registry holds the kinds that
// this process runs or submits. Nothing runs before Run is called. After an error nothing is open.
// Errors of configuration are functions.ErrConfig.
func Open(ctx context.Context, jobs *functions.Registry, set *drivers.Set, cfg Config) (*System, error) {
	if jobs == nil || set == nil {
		return nil, fmt.Errorf("%w: embedded.Open needs a registry and a set of drivers", functions.ErrConfig)
	}
	if err := jobs.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", functions.ErrConfig, err)
	}
	s := &System{log: cmp.Or(cfg.Log, slog.Default()), queue: functions.DefaultQueue}
	if queues := jobs.Queues(); len(queues) > 0 {
		s.queue = queues[0]
	}
	set.LogTo(s.log)
	cfg.Runtime.Log = cmp.Or(cfg.Runtime.Log, s.log)
	cfg.Runtime.Margin = cmp.Or(cfg.Runtime.Margin, cfg.Margin)
	var err error
	if s.opened, err = set.Open(ctx, cfg.WithDefaults()); err != nil {
		return nil, err
	}
	if s.rt, err = functions.New(jobs, s.opened.Backends, cfg.Runtime); err != nil {
		return nil, errors.Join(err, s.opened.Close(ctx))
	}
	if s.worker, err = worker.New(s.rt, s.opened.Queues.Receiver, &cfg.Worker); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// Client returns a client that submits and reads jobs.
func (s *System) Client() *functions.Client { return s.rt.Client() }

// Runtime returns the runtime. Its verbs may be called beside the worker.
func (s *System) Runtime() *functions.Runtime { return s.rt }

// API returns the HTTP API, for a server of the program. Without tokens in opts only callers on this
// machine may use it. Opts may be nil.
func (s *System) API(opts *httpapi.Options) (*httpapi.API, error) {
	var o httpapi.Options
	if opts != nil {
		o = *opts
	}
	o.Log = cmp.Or(o.Log, s.log)
	return httpapi.New(s.rt, &o)
}

// Run runs jobs from all queues of the registry and sweeps, until ctx ends. Then it drains, for at
// most Worker.DrainGrace and the runtime's StopGrace. It can be called once. Nil means that all jobs
// have ended or were handed back.
func (s *System) Run(ctx context.Context) error {
	s.ran.Store(true)
	return s.worker.Run(ctx)
}

// Leave ends Run at once, also while it drains. Jobs that run then are started again by sweep when
// their leases have run out.
func (s *System) Leave() { s.worker.Leave() }

// Close closes the runtime and the backends, when Run has returned. It takes at most 15 seconds, also
// when ctx has ended.
func (s *System) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	return errors.Join(s.rt.Close(), s.opened.Close(ctx))
}
