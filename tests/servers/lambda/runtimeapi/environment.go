package runtimeapi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// environment is an execution environment: a process, and the server of its Runtime API. It has one user at a time.
type environment struct {
	fn      *Function
	started time.Time
	server  *http.Server
	process *process
	calls   chan struct{}    // the runtime has asked for the next invocation
	work    chan *invocation // what it gets
	initErr chan Result      // it has reported that it cannot start

	mu         sync.Mutex
	current    *invocation
	extensions map[string]*extension
}

func newEnvironment(f *Function) *environment {
	return &environment{
		fn: f, calls: make(chan struct{}, 1), work: make(chan *invocation), initErr: make(chan Result, 1),
		extensions: map[string]*extension{},
	}
}

// init starts the program and waits until it asks for its first invocation.
func (e *environment) init(limit time.Duration) (Result, bool) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return unhandled("InternalError", err.Error()), false
	}
	e.server = &http.Server{Handler: e.api(), ReadHeaderTimeout: time.Minute}
	go func() { _ = e.server.Serve(l) }() // it ends when it is closed
	e.started = time.Now()
	if e.process, err = e.fn.starts.start(e.fn.cfg.Program, e.variables(l.Addr().String()), e.fn.log); err != nil {
		return unhandled("Runtime.InvalidEntrypoint", err.Error()), false
	}
	if e.await("", limit) {
		return Result{}, true
	}
	select {
	case r := <-e.initErr: // what it says itself is better than how it ended
		return r, false
	default:
	}
	if e.process.ended() {
		return exited("", e.process.err), false
	}
	return unhandled("Sandbox.Timedout", fmt.Sprintf("Init timed out after %.2f seconds", limit.Seconds())), false
}

// variables are those that Lambda sets for a program on an OS-only runtime, and the function's own.
func (e *environment) variables(address string) []string {
	c := &e.fn.cfg
	return append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + address,
		"AWS_LAMBDA_FUNCTION_NAME=" + c.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(c.Memory),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + c.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=" + address,
		"AWS_REGION=" + c.Region,
		"AWS_DEFAULT_REGION=" + c.Region,
		"LAMBDA_TASK_ROOT=" + filepath.Dir(c.Program),
		"LAMBDA_RUNTIME_DIR=/var/runtime",
		"_HANDLER=" + filepath.Base(c.Program),
		"LANG=en_US.UTF-8", "TZ=:UTC", "PATH=/usr/local/bin:/usr/bin:/bin",
	}, c.Env...)
}

// rest waits until the environment has done with an invocation, and stops it.
func (e *environment) rest(deadline time.Time) bool {
	return e.await("INVOKE", time.Until(deadline)) && e.process.signal(syscall.SIGSTOP)
}

// wake lets a stopped environment go on.
func (e *environment) wake() { e.process.signal(syscall.SIGCONT) }

// terminate sends SIGTERM, and reports whether there was a process to get it.
func (e *environment) terminate() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current != nil && e.process.signal(syscall.SIGTERM)
}

func (e *environment) ended() bool { return e.process == nil || e.process.ended() }

// shutdown ends an idle environment as Lambda does: with a signal and a little time if the program wants that.
func (e *environment) shutdown(ctx context.Context) {
	polite := len(e.registered("")) > 0
	if polite && !e.ended() {
		e.wake()
		e.process.signal(syscall.SIGTERM)
		timer := time.NewTimer(e.fn.cfg.Grace)
		defer timer.Stop()
		select {
		case <-e.process.exited:
		case <-timer.C:
			polite = false
		case <-ctx.Done():
			polite = false
		}
	}
	e.fn.count(func(s *Stats) {
		if polite {
			s.Shutdowns++
		} else {
			s.Forced++
		}
	})
	e.close()
}

// close ends what is left of the environment.
func (e *environment) close() {
	if e.process != nil {
		e.process.kill()
	}
	if e.server != nil {
		_ = e.server.Close() // its only client is dead
	}
}
