package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Listen listens on an address such as "127.0.0.1:7433". Without tokens it refuses one that others can reach.
func (a *API) Listen(ctx context.Context, addr string) (net.Listener, error) {
	return withoutTokens.Open(ctx, addr, a.open())
}

// Listen listens as API.Listen does, before there is an API. A program that also runs jobs calls it first: if the port is
// taken, the program has not started to work on jobs.
func Listen(ctx context.Context, addr string, tokens []Token) (net.Listener, error) {
	return withoutTokens.Open(ctx, addr, len(tokens) == 0)
}

// Serve answers requests until ctx ends. Then it takes no more, ends waits, lets the others finish for up to
// Options.Timeout, and returns nil.
func (a *API) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.opts.Log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	a.EndWaits()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.opts.Timeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return fmt.Errorf("shut down %s: requests were cut off: %w", ln.Addr(), errors.Join(err, server.Close()))
	}
	return nil
}
