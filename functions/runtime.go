package functions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/functions/internal/telemetry"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// Sender sends hints to queues. Deployments use *pubsubq.Sender. The simulator's Sender loses,
// doubles and reorders them.
//
// Send may return before the messages can be received, may send a message twice, and may have sent
// some of them when it returns an error. A message must not be received before its delay is over.
// MaxDelay is the longest delay of the queue.
type Sender interface {
	Send(ctx context.Context, queue string, delay time.Duration, msgs ...pubsubq.Message) error
	MaxDelay(queue string) time.Duration
}

// Backends are where a runtime keeps its state, and the queue through which it wakes other
// processes.
type Backends struct {
	Store *store.Store
	Queue Sender
	Blobs *blobout.Store
	// InTx returns the store and the queue in a transaction of the caller, for [Client.SubmitTx]. It
	// is nil if they are not in one SQL database.
	InTx func(tx any) (*Tx, error)
}

// Tx is a store and a queue whose writes are part of a transaction of the caller.
type Tx struct {
	Store *store.Store
	Queue Sender
	Close func() error // ends the use of the transaction, which it does not end
}

// Config configures a runtime. The zero value of each field means its default.
type Config struct {
	// Worker names this process in the records of the attempts it runs. Default: host name and
	// process id.
	Worker string
	// CancelPoll is how often a running attempt looks whether it was cancelled elsewhere. Default 2
	// seconds. Heartbeats, checkpoints and cancellation in the same process are seen at once.
	CancelPoll time.Duration
	// ProgressEvery is how often progress is written at most. Default 1 second.
	ProgressEvery time.Duration
	// Margin is how long before the platform's deadline an attempt is told to wind up: DeadlineNear
	// turns true at twice the margin, and the context is cancelled at the margin. Default 5
	// seconds.
	Margin time.Duration
	// StopGrace is how long a handler may go on after its context was cancelled before its attempt
	// is ended without it: the handler is abandoned. Default 30 seconds. The lease then protects
	// the job from what the handler still does. If the platform sets a deadline, the grace ends
	// half the Margin before it, so that the attempt's end is written in time.
	//
	// Nothing can end a goroutine from outside, so an abandoned handler may run on for any time,
	// with what it holds. Stats.HandlersAbandoned counts abandoned handlers. A worker bounds them;
	// see worker.Options.Concurrency. Lambda and Cloud Run do not: each event or request may
	// abandon some, which Lambda freezes and thaws with the process.
	StopGrace time.Duration
	// HookTimeout is how long the end hooks of a job may take together before their context ends;
	// see OnEnd. Default 30 seconds. It bounds triggers, the reading and writing of arguments as
	// JSON, and the closing of resources too.
	HookTimeout time.Duration
	// MaxArgs is the longest arguments of a job in bytes. Default 4 MiB.
	MaxArgs int
	// ParkedRetention is how long messages that could not be made jobs are kept. Default 14 days.
	// Negative: until they are replayed or removed. It holds for messages that are parked from then
	// on.
	ParkedRetention time.Duration
	// JoinLimit is the largest output in bytes that is joined from its parts to one file at the end
	// of the job. Larger outputs stay in parts, which readers see as one file. Default 4 GiB.
	JoinLimit int64
	// InlineLists is how many bytes of the list of its outputs, or of their parts, a job's record
	// holds itself. Longer lists are blobs. Default 16 KiB.
	InlineLists int
	// MergeLists is how many such blobs of a running job are merged into a larger one, at least 2.
	// Default 8.
	MergeLists int
	// Parallel is how many records sweep works on at once. Default 8.
	Parallel int
	// Log gets what an operator should know. Default slog.Default().
	Log *slog.Logger
	// TracerProvider and MeterProvider get spans and metrics; the package comment lists them.
	// Default: OpenTelemetry's global ones, because that is where libraries are expected to look:
	// they do nothing until the program sets providers of its own, and then take part without
	// another line. A noop.TracerProvider is silence.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// Now is the clock. Default time.Now. Intervals within the process are measured by the
	// monotonic readings of its times, if they have them; otherwise they move with each step of the
	// clock.
	Now func() time.Time
	// Rand is the source of ids, tokens and jitter. Default math/rand/v2.
	Rand func() uint64
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&c.CancelPoll, 2*time.Second)
	set(&c.ProgressEvery, time.Second)
	set(&c.Margin, 5*time.Second)
	set(&c.StopGrace, 30*time.Second)
	set(&c.HookTimeout, 30*time.Second)
	if c.Worker == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		c.Worker = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	if c.MaxArgs == 0 {
		c.MaxArgs = 4 << 20
	}
	set(&c.ParkedRetention, 14*24*time.Hour)
	if c.JoinLimit == 0 {
		c.JoinLimit = 4 << 30
	}
	if c.InlineLists == 0 {
		c.InlineLists = 16 << 10
	}
	if c.MergeLists == 0 {
		c.MergeLists = 8
	}
	if c.Parallel == 0 {
		c.Parallel = 8
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Uint64
	}
	return c
}

// Runtime ties a registry to backends. It has the three functions, Submit, Execute and Sweep, and
// the Client. It is safe for concurrent use.
type Runtime struct {
	reg   *Registry
	store *store.Store
	queue Sender
	blobs *blobout.Store
	inTx  func(tx any) (*Tx, error)
	cfg   Config
	log   *slog.Logger
	watch *watch
	pulse *pulse
	stats Stats
	calls guard.Calls // of code with a time limit that is not the library's
	tel   *telemetry.Telemetry

	draining  atomic.Bool
	measured  atomic.Int64 // when the jobs that wait were last counted for the metrics, a store.Time
	unhandled unhandled
	suspects  suspects

	mu      sync.Mutex
	learnt  map[string]learnt   // by kind that is in the directory
	running map[string]*Attempt // by job, so that a cancellation in this process is seen at once
	closed  bool
}

// New returns a runtime. It refuses a registry with mistakes and a configuration that cannot work,
// with ErrConfig.
func New(reg *Registry, b Backends, cfg Config) (*Runtime, error) {
	cfg = cfg.withDefaults()
	errs := []error{reg.Err(), reg.checkTriggers()}
	if b.Store == nil || b.Queue == nil || b.Blobs == nil {
		errs = append(errs, errors.New("Backends needs a Store, a Queue and Blobs"))
	}
	if cfg.CancelPoll < 0 || cfg.ProgressEvery < 0 || cfg.Margin < 0 || cfg.StopGrace < 0 || cfg.HookTimeout < 0 ||
		cfg.Parallel < 0 || cfg.MaxArgs < 0 || cfg.JoinLimit < 0 || cfg.InlineLists < 0 {
		errs = append(errs, errors.New("Config: durations, limits and Parallel cannot be negative"))
	}
	if cfg.MergeLists < 2 {
		errs = append(errs, fmt.Errorf("Config: MergeLists is %d, must be at least 2", cfg.MergeLists))
	}
	tel, err := telemetry.New(telemetry.Options{
		TracerProvider: cfg.TracerProvider, MeterProvider: cfg.MeterProvider, Now: cfg.Now, DefaultQueue: DefaultQueue,
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	rt := &Runtime{
		reg: reg, store: b.Store, queue: b.Queue, blobs: b.Blobs, inTx: b.InTx, cfg: cfg, log: cfg.Log, tel: tel,
		watch: newWatch(b.Store.Get), learnt: map[string]learnt{}, running: map[string]*Attempt{},
	}
	rt.pulse = newPulse(rt)
	return rt, nil
}

// Client returns a client of this runtime.
func (rt *Runtime) Client() *Client { return &Client{rt} }

// Registry returns the registry that the runtime was made with.
func (rt *Runtime) Registry() *Registry { return rt.reg }

// Stats returns the counters of this process.
func (rt *Runtime) Stats() *Stats { return &rt.stats }

// Config returns the configuration in force, defaults filled in.
func (rt *Runtime) Config() Config { return rt.cfg }

// Timing returns the store's durations in force.
func (rt *Runtime) Timing() store.Timing { return rt.store.Timing() }

// Drain tells running handlers, through DeadlineNear, that this worker shuts down.
func (rt *Runtime) Drain() { rt.draining.Store(true) }

// Close closes the resources that handlers opened. Call it when nothing runs any more. Verbs that
// are called later return ErrClosed. The caller must close the backends.
func (rt *Runtime) Close() error {
	rt.mu.Lock()
	was := rt.closed
	rt.closed = true
	left := slices.Collect(maps.Values(rt.running))
	rt.mu.Unlock()
	if was {
		return nil
	}
	rt.pulse.stop()
	for _, a := range left { // no timer ends their writes any more
		a.mu.Lock()
		a.cutOff(ErrShutdown)
		a.mu.Unlock()
	}
	return errors.Join(rt.closeResources(), rt.tel.Close())
}

// checkOpen returns ErrClosed after Close.
func (rt *Runtime) checkOpen() error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.closed {
		return ErrClosed
	}
	return nil
}

// now is the time in the records' form.
func (rt *Runtime) now() store.Time { return store.At(rt.cfg.Now()) }

// closeResources closes what was opened, the last first. It does not wait longer than
// Config.HookTimeout for a resource.
func (rt *Runtime) closeResources() error {
	rt.reg.mu.Lock()
	list := slices.Clone(rt.reg.resources)
	rt.reg.mu.Unlock()
	var errs []error
	for _, c := range slices.Backward(list) {
		_, err := guarded(context.Background(), rt, "", rt.cfg.HookTimeout, func(context.Context) (bool, error) { return true, c.Close() })
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

var _ io.Closer = (*Runtime)(nil)
