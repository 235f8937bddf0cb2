package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/localdev"
)

// upFlags are the flags of the server.
type upFlags struct {
	addr, dir, store, blobs, concurrency, tokens, tokenFile, origins, log string
	queues                                                                []string
}

func upCommand(c *console) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start everything in one process on this machine",
		Long: "Starts a store, a queue, files, a worker with a few example kinds, and the HTTP API. Submitted jobs survive\n" +
			"the end of the process: start it again over the same directory and they continue.\n\n" +
			"Ctrl-C stops it gracefully: running jobs finish, or are handed back with their checkpoints. A second ctrl-C\n" +
			"ends it at once and loses nothing either: the jobs run again when their leases have run out.\n\n" +
			"It takes no messages of other systems, and the example kinds have no triggers for them. To try a trigger, a program\n" +
			"of yours sends the message with SubmitMessage of localdev.Stack, and a test with Message of kit.Kit.",
		Example: "  piecework up\n  piecework up --addr 127.0.0.1:8000 --dir /var/lib/piecework\n" +
			"  PIECEWORK_TOKENS=operator:ops:$(openssl rand -hex 16) piecework up --addr :7433",
		Args: wantArgs(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return up(cmd.Context(), c, f) },
	}
	flags := cmd.Flags()
	for name, to := range map[string]*string{
		"addr": &f.addr, "dir": &f.dir, "store": &f.store, "blobs": &f.blobs, "concurrency": &f.concurrency,
		"token-file": &f.tokenFile, "origins": &f.origins, "log": &f.log,
	} {
		flags.StringVar(to, name, c.value(name), help(name))
	}
	flags.StringVar(&f.tokens, "tokens", "", help("tokens"))
	flags.StringSliceVar(&f.queues, "queue", nil, "another queue to take jobs from; can be repeated")
	return cmd
}

// up runs the server until ctx ends.
func up(ctx context.Context, c *console, f upFlags) (err error) {
	if err := c.checkEnv(); err != nil {
		return err
	}
	logger, err := c.logger(f.log)
	if err != nil {
		return err
	}
	concurrency, err := strconv.Atoi(f.concurrency)
	if err != nil || concurrency < 1 || concurrency > 10_000 {
		return usage("concurrency %q: must be a number from 1 to 10000", f.concurrency)
	}
	if f.tokens == "" {
		f.tokens = c.value("tokens") // not a flag's default, which --help would print
	}
	who, err := httpapi.ReadTokens("--tokens", f.tokens, f.tokenFile)
	if err != nil {
		return err
	}
	origins := strings.FieldsFunc(f.origins, func(r rune) bool { return r == ',' || r == ' ' })
	if err := httpapi.CheckOrigins(origins); err != nil {
		return usage("--origins: %w", err)
	}
	ln, err := httpapi.Listen(ctx, f.addr, who) // before a worker takes jobs
	if err != nil {
		return listenError(f.addr, err)
	}
	defer ln.Close()
	stack, err := localdev.Start(ctx, examples(), localdev.Config{
		Dir: f.dir, Store: f.store, Blobs: f.blobs, Drivers: storeDrivers(), Pull: f.queues, Log: logger, Worker: worker.Options{Concurrency: concurrency},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop(ctx, stack)) }()
	api, err := httpapi.New(stack.Runtime(), &httpapi.Options{Tokens: who, Origins: origins, Version: version(), Log: logger})
	if err != nil {
		return err
	}
	if err := c.welcome(stack, ln, who); err != nil {
		return err
	}
	return api.Serve(ctx, ln)
}

// listenError says what to do if listening on an address fails.
func listenError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use, perhaps by another piecework; choose another with --addr, as in --addr 127.0.0.1:0: %w", addr, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not listen on %s; choose a port above 1023 with --addr: %w", addr, err)
	default:
		return err
	}
}

// logger logs to standard error: as text, or as JSON with --json.
func (c *console) logger(level string) (*slog.Logger, error) {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	l, ok := levels[level]
	if !ok {
		return nil, usage("%s", functions.UnknownName("log level", level, []string{"debug", "info", "warn", "error"}))
	}
	opts := &slog.HandlerOptions{Level: l}
	opts.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			a.Value = slog.TimeValue(a.Value.Time().UTC()) // as all times for people
		}
		return a
	}
	if c.JSON {
		opts.ReplaceAttr = functions.ReadableAttr
		return slog.New(slog.NewJSONHandler(c.Err, opts)), nil
	}
	return slog.New(slog.NewTextHandler(c.Err, opts)), nil
}

// welcome prints what runs, and what to do next.
func (c *console) welcome(stack *localdev.Stack, ln net.Listener, who []httpapi.Token) error {
	url := "http://" + clientAddress(ln.Addr())
	cfg := stack.Config()
	if c.JSON {
		return c.PrintJSON(map[string]any{
			"url": url, "dir": cfg.Dir, "version": version(), "pid": os.Getpid(), "tokens": len(who),
			"kinds": stack.Runtime().Registry().Kinds(), "queues": cfg.Pull,
		})
	}
	c.Printf("%s is running at %s\n", c.bold("Piecework"), c.bold(url))
	if cfg.Store == "" || cfg.Blobs == "" {
		c.Printf("  data      %s\n", cfg.Dir)
	}
	c.Printf("  API       %s/v1, described at %s/docs\n", url, url)
	if len(who) > 0 {
		c.Printf("  tokens    %d: set PIECEWORK_TOKEN for the commands below\n", len(who))
	}
	program, at := programName(), ""
	if url != lookup("url").def {
		at = " --url " + url
	}
	c.Printf("\nTry, in another terminal:\n")
	c.Printf("  %s submit demo.sleep '{\"for\":\"20s\"}' --wait%s\n", program, at)
	c.Printf("  %s list%s\n\n", program, at)
	c.Printf("Ctrl-C stops it. No submitted job is lost.\n")
	return nil
}

// clientAddress returns the address for clients on this machine: 127.0.0.1 if the server listens on
// all interfaces.
func clientAddress(addr net.Addr) string {
	at, ok := addr.(*net.TCPAddr)
	if ok && at.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(at.Port))
	}
	return addr.String()
}

// leaveAfter limits a graceful stop.
const leaveAfter = time.Minute

// stop ends the server gracefully, or at once at a second signal. It prints what it does if the
// user asked for the end, but not if the start failed.
func (c *console) stop(ctx context.Context, stack *localdev.Stack) error {
	asked := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveAfter)
	defer cancel()
	ctx, again := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer again()
	if asked && !c.JSON {
		c.Notef("\nStopping: running jobs finish, or are handed back to continue later. Ctrl-C again stops at once.\n")
	}
	err := stack.Stop(ctx)
	if errors.Is(err, functions.ErrShutdown) || ctx.Err() != nil {
		if !c.JSON {
			c.Notef("Stopped at once. Running jobs start again when their leases have run out.\n")
		}
		return &silent{exitInterrupted}
	}
	return err
}
