// Command worker is the program of the deployments that package endtoend tests: package infra/program's, with all
// drivers, and one command more, sweep, which sweeps every second, as a platform's timer would, where a worker does it
// every minute.
//
// It ends when its standard input does, so that it does not outlive a test that is killed.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/program"
	"github.com/piecework/piecework/tests/servers/endtoend"
)

func main() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // the test says nothing
		os.Exit(3)
	}()
	registry := endtoend.NewRegistry(endtoend.OpenLedger(os.Getenv(endtoend.LedgerVariable)))
	if len(os.Args) == 2 && os.Args[1] == "sweep" {
		log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
		ctx := context.Background()
		if err := sweep(ctx, registry, log); err != nil {
			log.ErrorContext(ctx, "sweeper cannot run", slog.Any("error", err))
			os.Exit(1)
		}
		return
	}
	program.Main(registry, endtoend.Drivers()...)
}

// sweep sweeps until the process is told to stop.
func sweep(ctx context.Context, registry *functions.Registry, log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	env, err := program.ReadEnvironment(os.Environ())
	if err != nil {
		return err
	}
	set := drivers.New(endtoend.Drivers()...)
	set.LogTo(log)
	backends, closeAll, err := set.Backends(ctx, env.Config)
	if err != nil {
		return err
	}
	defer func() {
		if err := closeAll(context.WithoutCancel(ctx)); err != nil {
			log.ErrorContext(ctx, "sweeper has not closed everything", slog.Any("error", err))
		}
	}()
	rt, err := functions.New(registry, backends, functions.Config{Log: log})
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "sweeper is running")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if _, err := rt.Sweep(context.WithoutCancel(ctx), functions.SweepRequest{}); err != nil {
			log.ErrorContext(ctx, "sweep failed", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return rt.Close()
		case <-tick.C:
		}
	}
}
