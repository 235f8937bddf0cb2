package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Limits of the service.
const (
	DefaultTimeout = 3 * time.Second
	DefaultInit    = 10 * time.Second
	DefaultGrace   = 500 * time.Millisecond
	MaxPayload     = 6*1024*1024 + 100 // of a request or a buffered answer, as the service's error text has it
)

var (
	// ErrThrottled says that as many environments are busy as there may be.
	ErrThrottled = errors.New("TooManyRequestsException: Rate Exceeded")
	// ErrClosed says that the function was deleted.
	ErrClosed = errors.New("ResourceNotFoundException: function was deleted")
	// ErrPayload says that the event is longer than 6 MB.
	ErrPayload = errors.New("RequestTooLargeException: request must be smaller than 6291556 bytes")
)

// Config says what is deployed.
type Config struct {
	Name    string
	Program string        // the path of the executable
	Env     []string      // the function's variables
	Timeout time.Duration // of an invocation; default 3 s
	Init    time.Duration // of the start; default 10 s
	Grace   time.Duration // of the shutdown, for a program that has registered an extension; default half a second
	Memory  int           // megabytes; told, not enforced; default 128
	Limit   int           // how many environments there may be (reserved concurrency); default 10
	Region  string        // default us-east-1
	Log     io.Writer     // gets what the programs print; default: nothing
	Chaos   Chaos
}

// Chaos kills environments (SIGKILL) in the middle of invocations. Which ones and when follows from the seed and the
// number of the invocation.
type Chaos struct {
	Seed   uint64
	Share  float64       // of the invocations, 0 to 1
	Within time.Duration // of the beginning of the invocation; longer invocations are not hit later
	// Lost is the share of the invocations whose environment is killed when it brings the answer, which is lost: all has
	// been done, and the caller cannot know.
	Lost float64
}

// Stats counts what happened.
type Stats struct {
	Invocations  int // begun
	Cold         int // of these, those that started an environment
	Errors       int // that the function reported
	Timeouts     int // ended by the function's timeout
	Kills        int // ended by chaos
	Exits        int // whose process ended by itself
	InitFailures int
	Throttles    int
	Shutdowns    int // environments that ended in time when they were told to
	Forced       int // and those that did not, or could not be told
	Peak         int // environments at the same time
}

// Function is a deployed function. It is safe for concurrent use.
type Function struct {
	cfg    Config
	log    *lockedWriter
	starts *starter

	mu     sync.Mutex
	free   []*environment // the last used is last, and used next
	busy   map[*environment]bool
	closed bool
	serial int
	stats  Stats
	idle   sync.Cond // of mu: an environment is not busy any more
}

// New deploys a function. Close deletes it.
func New(cfg Config) (*Function, error) {
	if cfg.Name == "" || cfg.Program == "" {
		return nil, errors.New("a function needs a name and a program")
	}
	program, err := filepath.Abs(cfg.Program)
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", cfg.Program, err)
	}
	cfg.Program = program
	defaults(&cfg.Timeout, DefaultTimeout)
	defaults(&cfg.Init, DefaultInit)
	defaults(&cfg.Grace, DefaultGrace)
	defaults(&cfg.Memory, 128)
	defaults(&cfg.Limit, 10)
	defaults(&cfg.Region, "us-east-1")
	f := &Function{cfg: cfg, log: &lockedWriter{to: cfg.Log}, busy: map[*environment]bool{}, starts: newStarter()}
	f.idle.L = &f.mu
	return f, nil
}

func defaults[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// ARN is the function's.
func (f *Function) ARN() string {
	return fmt.Sprintf("arn:aws:lambda:%s:000000000000:function:%s", f.cfg.Region, f.cfg.Name)
}

// Stats returns the figures so far.
func (f *Function) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

// count changes the figures.
func (f *Function) count(change func(*Stats)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.stats)
}

// acquire takes the environment that was used last, or makes one that is not started yet. Its number is the number of the
// invocation.
func (f *Function) acquire() (e *environment, number int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, 0, ErrClosed
	}
	for e == nil && len(f.free) > 0 {
		e, f.free = f.free[len(f.free)-1], f.free[:len(f.free)-1]
		if e.ended() { // it died in its sleep
			go e.close()
			e = nil
		}
	}
	if e == nil {
		if len(f.busy) >= f.cfg.Limit {
			f.stats.Throttles++
			return nil, 0, ErrThrottled
		}
		e = newEnvironment(f)
		f.stats.Cold++
	}
	f.busy[e] = true
	f.stats.Peak = max(f.stats.Peak, len(f.busy)+len(f.free))
	f.stats.Invocations++
	f.serial++
	return e, f.serial, nil
}

// release takes an environment back, warm or to be thrown away.
func (f *Function) release(e *environment, warm bool) {
	f.mu.Lock()
	delete(f.busy, e)
	warm = warm && !f.closed
	if warm {
		f.free = append(f.free, e)
	}
	f.idle.Broadcast()
	f.mu.Unlock()
	if !warm {
		e.close()
	}
}

// Recycle shuts down the environments that are idle, as Lambda does from time to time.
func (f *Function) Recycle(ctx context.Context) {
	f.mu.Lock()
	free := f.free
	f.free = nil
	f.mu.Unlock()
	var all sync.WaitGroup
	for _, e := range free {
		all.Go(func() { e.shutdown(ctx) })
	}
	all.Wait()
}

// Terminate sends SIGTERM to the environments that are busy. Lambda does not; it is what a process must stand anyway.
func (f *Function) Terminate() int {
	f.mu.Lock()
	busy := make([]*environment, 0, len(f.busy))
	for e := range f.busy {
		busy = append(busy, e)
	}
	f.mu.Unlock()
	return len(slices.DeleteFunc(busy, func(e *environment) bool { return !e.terminate() }))
}

// Close deletes the function: what runs comes to its end, and all environments are shut down.
func (f *Function) Close() {
	f.mu.Lock()
	f.closed = true
	for len(f.busy) > 0 {
		f.idle.Wait()
	}
	f.mu.Unlock()
	f.Recycle(context.Background())
	f.starts.stop()
}

// lockedWriter lets processes share a log.
type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

// Write writes at once.
func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.to == nil {
		return len(p), nil
	}
	return w.to.Write(p)
}
