package cloudrun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/piecework/piecework/functions"
)

// idleTime is longer than Google's load balancers keep a connection. So this end never closes a
// connection while a request comes over it.
const idleTime = 620 * time.Second

// maxHeader is enough for the attributes of the largest message.
const maxHeader = 256 << 10

// Listen listens on an address such as ":8080". If only this machine may call, it refuses an
// address that other machines can reach.
func (s *Server) Listen(ctx context.Context, addr string) (net.Listener, error) {
	return withoutAccounts.Open(ctx, addr, s.local())
}

// Serve answers requests until ctx ends, by HTTP/1.1 and by HTTP/2 without TLS. Then it drains. An
// error says that requests were cut off, which loses nothing: sweep starts their jobs again when
// the leases have run out. It can be called once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader, Protocols: &protocols,
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(s.opts.DrainGrace, 0)+handBack)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- server.Shutdown(end) }()
	err := s.Drain(end)
	if down := <-closed; down != nil {
		err = errors.Join(err, fmt.Errorf("shut down %s: %w", ln.Addr(), errors.Join(down, server.Close())))
	}
	return err
}

// Drain takes no more requests, ends the waits of the API, and tells running handlers through
// DeadlineNear. After Options.DrainGrace it cancels them, and their jobs go back to the queue with
// their checkpoints. It returns when all requests are answered, or when ctx ends. Serve calls it.
// Programs with a server of their own call it themselves.
func (s *Server) Drain(ctx context.Context) error {
	s.rt.Drain()
	s.mu.Lock()
	if !s.draining {
		if s.draining = true; s.requests == 0 {
			close(s.idle)
		}
	}
	s.mu.Unlock()
	if api, ok := s.opts.API.(interface{ EndWaits() }); ok {
		api.EndWaits()
	}
	defer s.stop(functions.ErrShutdown)
	grace := time.NewTimer(max(s.opts.DrainGrace, 0))
	defer grace.Stop()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
	case <-grace.C:
		s.stop(functions.ErrShutdown)
		select {
		case <-s.idle:
			return nil
		case <-ctx.Done():
		}
	}
	return errors.New("requests were under way at the end; their jobs are started again when their leases have run out")
}

func (s *Server) drains() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}
