package cloudrun

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/functions/internal/loopback"
	"github.com/piecework/piecework/functions/internal/stall"
)

// Server makes jobs of messages, runs them and sweeps, by HTTP. It is an http.Handler; Serve does
// all that a process needs.
type Server struct {
	rt       *functions.Runtime
	opts     Options
	log      *slog.Logger
	origin   *http.CrossOriginProtection
	verifier *verifier
	mux      *http.ServeMux
	running  chan struct{} // has room for the jobs that may run at once

	work context.Context         // of what runs
	stop context.CancelCauseFunc // of work

	mu       sync.Mutex
	draining bool
	requests int           // under way
	idle     chan struct{} // closed when draining and there are none
}

var _ http.Handler = (*Server)(nil)

// New returns a server of a runtime. It refuses options that cannot work, with functions.ErrConfig.
// Opts may be nil.
func New(rt *functions.Runtime, o *Options) (*Server, error) {
	if rt == nil {
		return nil, fmt.Errorf("%w: cloudrun.New needs a runtime", functions.ErrConfig)
	}
	opts, err := o.withDefaults(rt)
	if err != nil {
		return nil, err
	}
	now := rt.Config().Now
	s := &Server{
		rt: rt, opts: opts, log: opts.Log, origin: http.NewCrossOriginProtection(), mux: http.NewServeMux(),
		verifier: &verifier{opts.Callers, newKeySet(opts.Callers.Keys, opts.Callers.Client, now)},
		running:  make(chan struct{}, opts.Concurrency), idle: make(chan struct{}),
	}
	s.work, s.stop = context.WithCancelCause(context.Background())
	making := make(chan struct{}, opts.Concurrency)
	s.mux.Handle("/push/execute", s.guard(http.MethodPost, s.messages(s.running, unwrap, s.execute)))
	s.mux.Handle("/push/submit", s.guard(http.MethodPost, s.messages(making, unwrap, s.submit)))
	s.mux.Handle("/events", s.guard(http.MethodPost, s.messages(making, event, s.submit)))
	s.mux.Handle("OPTIONS /events", s.guard(http.MethodOptions, s.handshake))
	s.mux.Handle("/sweep", s.guard(http.MethodPost, s.sweep))
	s.mux.HandleFunc("/healthz", s.health)
	s.mux.HandleFunc("/", s.rest)
	return s, nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// guard returns a route that takes one method, from callers that may call, unless the server
// drains.
func (s *Server) guard(method string, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { s.refusePanic(w, r, recover()) }()
		stall.Guard(w, r, readTime)
		if r.Method != method {
			w.Header().Set("Allow", method)
			s.refuse(w, r, wire.NewProblem(http.StatusMethodNotAllowed, fmt.Sprintf("%s takes %s, not %.20s", r.URL.Path, method, r.Method)))
			return
		}
		if refused := s.authorize(w, r); refused != nil {
			s.refuse(w, r, refused)
			return
		}
		if !s.enter() {
			s.refuseDraining(w, r)
			return
		}
		defer s.leave()
		serve(w, r)
	})
}

// rest passes a request on to the API.
func (s *Server) rest(w http.ResponseWriter, r *http.Request) {
	if s.opts.API == nil {
		stall.Guard(w, r, readTime)
		s.refuse(w, r, wire.NewProblem(http.StatusNotFound, fmt.Sprintf("there is no route %.200q here; there are POST /push/execute, "+
			"/push/submit, /events and /sweep, and GET /healthz", r.URL.Path)))
		return
	}
	if !s.enter() {
		stall.Guard(w, r, readTime)
		s.refuseDraining(w, r)
		return
	}
	defer s.leave()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	detach := context.AfterFunc(s.work, func() { cancel(context.Cause(s.work)) })
	defer detach()
	s.opts.API.ServeHTTP(w, r.WithContext(ctx))
}

// health says whether this process takes requests.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	stall.Guard(w, r, readTime)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.refuse(w, r, wire.NewProblem(http.StatusMethodNotAllowed, fmt.Sprintf("/healthz takes GET, not %.20s", r.Method)))
		return
	}
	s.mu.Lock()
	draining := s.draining
	s.mu.Unlock()
	if draining {
		s.refuseDraining(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if _, err := w.Write([]byte("ok\n")); err != nil {
		s.unsent(r, err)
	}
}

// enter counts a request in, unless the server drains.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.requests++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests--
	if s.draining && s.requests == 0 {
		close(s.idle)
	}
}

// refusePanic turns a panic of this package into a refusal. The runtime catches panics of job
// handlers.
func (s *Server) refusePanic(w http.ResponseWriter, r *http.Request, value any) {
	if value == nil {
		return
	}
	s.log.LogAttrs(r.Context(), slog.LevelError, "request panicked", slog.String("path", r.URL.Path), slog.Any("panic", value),
		slog.String("stack", string(debug.Stack())))
	s.refuse(w, r, wire.NewProblem(http.StatusInternalServerError, "the server failed; its log says why"))
}

// authorize refuses callers that may not push, send events or start sweeps.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) *wire.Problem {
	if err := s.origin.Check(r); err != nil {
		return wire.NewProblem(http.StatusForbidden, "a web page of another origin may not use this server from a browser")
	}
	switch {
	case s.opts.Callers.Platform:
		return nil
	case s.local():
		return withoutAccounts.Check(r)
	default:
		return s.verifier.check(w, r)
	}
}

// local reports whether only this machine may call.
func (s *Server) local() bool { return s.opts.Callers.local() }

// withoutAccounts is the rule for a server that everybody on this machine may call.
var withoutAccounts = loopback.Rule{
	Form: "as in 127.0.0.1:8080, or :8080 for all addresses",
	Listen: "without accounts whose tokens are checked the server listens on 127.0.0.1, [::1] or localhost only, " +
		"because everybody who reaches it may start jobs",
	From: "this server knows no accounts, so it takes messages of this machine only; " +
		"start it with the accounts that may call it to use it from elsewhere",
	Name: "this server knows no accounts, so it",
}
