package cloudrun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/infra/command"
	"github.com/piecework/piecework/infra/drivers"
)

// Main runs the process's command line and ends the process. The program runs jobs; register are the drivers' functions
// Register, of the services that the environment may name.
func Main(jobs *functions.Registry, register ...func(*drivers.Set)) {
	App(jobs, nil, register...).Main()
}

// App is what Main runs, for programs that have commands or options of their own: adjust, if not nil, may change what
// the environment says before the server is made.
func App(jobs *functions.Registry, adjust func(*cloudrun.Options), register ...func(*drivers.Set)) command.App {
	return command.App{Jobs: jobs, Drivers: register, Modes: []command.Mode{{
		Name: "serve", Short: "Take messages, events, sweeps and the HTTP API on one port",
		Long: "Serves what Pub/Sub pushes, Eventarc's events, Cloud Scheduler's sweeps and the HTTP API on the port that " + envPort + " names,\n" +
			"or at the address " + envAddr + ". It is what this program does without a command where " + envService + " is set.\n\n" +
			envAddr + "=" + local + " keeps it to this machine. Elsewhere than on Cloud Run, other machines reach it only if\n" +
			envAccounts + " and " + envAudience + " say whose pushes are taken.\n\n" +
			"SIGTERM or SIGINT stops it: running jobs finish, or are handed back with their checkpoints, within 8 seconds.\n\n" +
			"Beside what \"piecework help environment\" tells it reads:\n\n" +
			"  " + envPort + "=8080\n      on which port to listen, on all addresses\n" +
			"  " + envAddr + "\n      where to listen, as host:port, in its place\n" +
			"  " + envAccounts + "\n      the service accounts whose tokens are taken with pushes, separated by commas; on Cloud Run, not set: IAM decides\n" +
			"  " + envAudience + "\n      for whom those tokens must be; several are separated by commas\n" +
			"  " + envTokens + ", " + envTokenFile + "\n      who may use the HTTP API: ROLE:TOKEN or ROLE:NAME:TOKEN, separated by commas or one a line of a file; roles are\n" +
			"      reader and operator; not set: callers from this machine alone\n" +
			"  " + envTimeout + "=5m\n      how long a request may take, some seconds less than what calls waits for an answer",
		Here:  func(environ []string) bool { return lookup(environ, envService) != "" },
		Check: func(e command.Environment) error { return check(e, adjust != nil) },
		Run:   func(ctx context.Context, d *command.Deployment) error { return serve(ctx, d, adjust) },
	}}}
}

// check says what is wrong with the environment, as far as that can be seen before anything that it names is opened.
// Adjusted says that who calls is said elsewhere.
func check(e command.Environment, adjusted bool) error {
	s, err := readSettings(e.Getenv, e.Margin)
	if adjusted {
		return err
	}
	if wrong := s.callers.Check(); wrong != nil {
		err = errors.Join(err, explain(fmt.Errorf("%w: %w", functions.ErrConfig, wrong)))
	}
	if s.addr != "" { // else it has been told
		if wrong := s.callers.CheckAddress(s.addr); wrong != nil {
			err = errors.Join(err, explain(wrong))
		}
	}
	return err
}

// serve serves until ctx ends, and then drains.
func serve(ctx context.Context, d *command.Deployment, adjust func(*cloudrun.Options)) error {
	s, err := readSettings(d.Getenv, d.Config.Margin)
	if err != nil {
		return err
	}
	api, err := httpapi.New(d.Runtime, &httpapi.Options{Tokens: s.tokens, Log: d.Log})
	if err != nil {
		return err
	}
	opts := &cloudrun.Options{
		Callers: s.callers, API: api, Concurrency: d.Concurrency, Timeout: s.timeout, Log: d.Log,
	}
	if adjust != nil {
		adjust(opts)
	}
	server, err := cloudrun.New(d.Runtime, opts)
	if err != nil {
		return explain(err)
	}
	ln, err := server.Listen(ctx, s.addr)
	if err != nil {
		return explain(err)
	}
	if opts.Callers.Platform {
		d.Log.LogAttrs(ctx, slog.LevelWarn, "whoever may invoke this service may start jobs: the service must require authentication, or "+
			envAccounts+" must name the accounts", slog.String("service", d.Getenv(envService)))
	}
	if len(s.tokens) == 0 {
		d.Log.LogAttrs(ctx, slog.LevelInfo, "the HTTP API is closed to all but this machine: "+envTokens+" is not set")
	}
	d.Log.LogAttrs(ctx, slog.LevelInfo, "server is running", slog.String("address", ln.Addr().String()),
		slog.Any("kinds", d.Runtime.Registry().Kinds()), slog.Int("concurrency", d.Concurrency), slog.Duration("timeout", s.timeout))
	err = server.Serve(ctx, ln)
	d.Log.LogAttrs(ctx, slog.LevelInfo, "server has stopped", slog.Bool("all_handed_back", err == nil))
	return err
}

// explain names the variables that an error of configuration comes from, and those that choose another port.
func explain(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("%w; choose another with %s or %s", err, envPort, envAddr)
	}
	if !errors.Is(err, functions.ErrConfig) {
		return err
	}
	return fmt.Errorf("%w (from %s; %s=%s keeps it to this machine)", err,
		strings.Join([]string{envAccounts, envAudience, envAddr, envPort, envTimeout}, ", "), envAddr, local)
}
