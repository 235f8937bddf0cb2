package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/functions/httpapi"
)

// localAddr is an address that no other machine reaches, for advice.
const localAddr = "127.0.0.1:8080"

// usualTimeout is Cloud Run's default.
const usualTimeout = 5 * time.Minute

// serveMode is the server: on Cloud Run, and on other platforms that run containers. If adjust is
// not nil, it may change the options that the environment gives, and only the server then checks
// who may call.
func serveMode(adjust func(*cloudrun.Options)) Mode {
	return Mode{
		Name: "serve", Short: "Serve messages, events, sweeps and the HTTP API on one port",
		Long: "Serves what Pub/Sub pushes, Eventarc's events, Cloud Scheduler's sweeps and the HTTP API on the port that " + envPort + " names,\n" +
			"or at the address " + envAddr + ". It is what this program does without a command where " + envService + " is set.\n\n" +
			envAddr + "=" + localAddr + " keeps it to this machine. Elsewhere than on Cloud Run, other machines reach it only if\n" +
			envAccounts + " and " + envAudience + " say whose pushes are accepted.\n\n" +
			"SIGTERM or SIGINT stops it: running jobs finish, or are handed back with their checkpoints, within 8 seconds.\n\n" +
			"\"pieceworkd help environment\" lists what it reads.",
		Here: func(getenv func(string) string) bool { return getenv(envService) != "" },
		Check: func(e Environment) error {
			_, err := e.serving()
			if adjust == nil {
				err = errors.Join(err, e.checkCallers())
			}
			return err
		},
		Run: func(ctx context.Context, d *Deployment) error { return serve(ctx, d, adjust) },
	}
}

// listenAddr is where to listen.
func (e Environment) listenAddr() string { return cmp.Or(e.addr, ":"+strconv.Itoa(e.port)) }

// callers are those whose pushes are accepted.
func (e Environment) callers() cloudrun.Callers {
	if len(e.accounts) == 0 && e.Getenv(envService) != "" {
		return cloudrun.Callers{Platform: true} // Cloud Run's IAM has an audience of its own
	}
	return cloudrun.Callers{Accounts: e.accounts, Audiences: e.audiences}
}

// serving returns the server's options, or everything that is wrong with them.
func (e Environment) serving() (*cloudrun.Options, error) {
	o := &cloudrun.Options{Callers: e.callers(), Concurrency: e.Concurrency, Timeout: cmp.Or(e.FunctionTimeout, usualTimeout)}
	_, err := e.Tokens()
	if least := cloudrun.MinTimeout(e.Margin); o.Timeout < least || o.Timeout > cloudrun.MaxTimeout {
		err = errors.Join(err, fmt.Errorf("%w: %s=%q: want a duration from %v to %v, a little less than the service's request timeout; the least is three times %s",
			functions.ErrConfig, envTimeout, o.Timeout, least, cloudrun.MaxTimeout, envMargin))
	}
	return o, err
}

// checkCallers returns what is wrong with who may call.
func (e Environment) checkCallers() error {
	if err := e.callers().Check(); err != nil {
		return explain(fmt.Errorf("%w: %w", functions.ErrConfig, err))
	}
	if e.malformed { // perhaps the address
		return nil
	}
	return explain(e.callers().CheckAddress(e.listenAddr()))
}

// serve serves until ctx ends, and then drains.
func serve(ctx context.Context, d *Deployment, adjust func(*cloudrun.Options)) error {
	opts, err := d.serving()
	if err != nil {
		return err
	}
	tokens, err := d.Tokens()
	if err != nil {
		return err
	}
	opts.Log = d.Log
	if opts.API, err = httpapi.New(d.Runtime, &httpapi.Options{Tokens: tokens, Origins: d.Origins, Log: d.Log}); err != nil {
		return err
	}
	if adjust != nil {
		adjust(opts)
	}
	server, err := cloudrun.New(d.Runtime, opts)
	if err != nil {
		return explain(err)
	}
	ln, err := server.Listen(ctx, d.listenAddr())
	if err != nil {
		return explain(err)
	}
	if opts.Callers.Platform {
		d.Log.LogAttrs(ctx, slog.LevelWarn, "every caller that may invoke this service may start jobs: the service must require authentication, or "+
			envAccounts+" must name the accounts", slog.String("service", d.Getenv(envService)))
	}
	if len(tokens) == 0 {
		d.Log.LogAttrs(ctx, slog.LevelInfo, "the HTTP API is closed to all but this machine: "+envTokens+" is not set")
	}
	d.Log.LogAttrs(ctx, slog.LevelInfo, "server is running", slog.String("address", ln.Addr().String()),
		slog.Any("kinds", d.Runtime.Registry().Kinds()), slog.Int("concurrency", opts.Concurrency), slog.Duration("timeout", opts.Timeout))
	err = server.Serve(ctx, ln)
	d.Log.LogAttrs(ctx, slog.LevelInfo, "server has stopped", slog.Bool("all_handed_back", err == nil))
	return err
}

// explain names the variables that an error of configuration comes from, and those that choose
// another port.
func explain(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("%w; choose another with %s or %s", err, envPort, envAddr)
	}
	if !errors.Is(err, functions.ErrConfig) {
		return err
	}
	return fmt.Errorf("%w (from %s; %s=%s keeps it to this machine)", err,
		strings.Join([]string{envAccounts, envAudience, envAddr, envPort, envTimeout}, ", "), envAddr, localAddr)
}
