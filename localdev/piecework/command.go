package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
)

// run runs a command line and returns its exit status.
func run(ctx context.Context, args []string, c *console) int {
	ctx, stop := withInterrupt(ctx)
	defer stop()
	root := rootCommand(c)
	root.SetArgs(args)
	root.SetContext(ctx)
	if i := slices.IndexFunc(args, func(arg string) bool { return !utf8.ValidString(arg) }); i >= 0 {
		err := usage("%.60q is not UTF-8, as arguments must be", args[i])
		c.report(err)
		return exitStatus(err)
	}
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errInterrupted) && errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	if f := cmd.Flags().Lookup("json"); f != nil && f.Value.String() == "true" {
		c.JSON = true // parsed after an error too
	}
	err = usageError(cmd, err)
	var quiet *silent
	if failed := c.out.failed(); failed != nil && (err == nil || errors.As(err, &quiet)) {
		err = failed // the output is incomplete, whatever the exit status was
	}
	c.report(err)
	return exitStatus(err)
}

// withInterrupt returns a context that ends with ctrl-C or SIGTERM. A second signal ends the
// process at once.
func withInterrupt(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			signal.Stop(signals)
			cancel(errInterrupted)
		case <-done:
		}
	}()
	return ctx, func() { close(done); signal.Stop(signals); cancel(nil) }
}

// usageError turns cobra's own errors into usage errors.
func usageError(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, prefix := range []string{"unknown command", "accepts "} {
		if strings.HasPrefix(text, prefix) {
			text = strings.ReplaceAll(strings.ReplaceAll(text, "\n\nDid you mean this?\n\t", "; did you mean: "), "\n\t", ", ")
			return usage("%s\nSee: %s --help", strings.TrimSpace(text), cmd.CommandPath())
		}
	}
	return err
}

// The groups of commands.
const (
	groupRun   = "run"
	groupJobs  = "jobs"
	groupAfter = "after"
)

func rootCommand(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:   "piecework",
		Short: "Background jobs: run, inspect and control them",
		Long: "Piecework runs background jobs. Begin with \"piecework up\", which starts everything in one process on this\n" +
			"machine, or with \"piecework demo\", which runs a real job.\n\n" +
			"Deployments run a program of their own, pieceworkd, with your jobs in it: see infra/README.md. This program controls\n" +
			"them over their HTTP API.\n\n" + exitHelp,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	root.SetFlagErrorFunc(unknownFlag)
	flags := root.PersistentFlags()
	flags.BoolVar(&c.JSON, "json", false, "print one JSON document, on one line")
	root.AddGroup(&cobra.Group{ID: groupRun, Title: "Running:"}, &cobra.Group{ID: groupJobs, Title: "Jobs, on a running server:"},
		&cobra.Group{ID: groupAfter, Title: "Maintenance:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(groupRun, upCommand(c), demoCommand(c))
	add(groupJobs, submitCommand(c), getCommand(c), listCommand(c), countCommand(c), waitCommand(c), cancelCommand(c), retryCommand(c),
		releaseCommand(c), outputCommand(c))
	add(groupAfter, kindsCommand(c), parkedCommand(c), sweepCommand(c), statsCommand(c), fsckCommand(c), versionCommand(c))
	root.AddCommand(exitTopic())
	root.SetHelpCommandGroupID(groupAfter)
	root.SetCompletionCommandGroupID(groupAfter)
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = helpTopic
	}
	return root
}

// helpTopic refuses help about a command that does not exist. Without it, cobra's help command
// succeeds and prints the usage of another command.
func helpTopic(cmd *cobra.Command, args []string) error {
	found, rest, _ := cmd.Root().Find(args) // rest tells what the error would
	if len(rest) == 0 {
		return nil
	}
	var names []string
	for _, c := range found.Commands() {
		names = append(names, c.Name())
	}
	hint := ""
	if near := functions.NearestName(rest[0], names); near != "" {
		hint = "; did you mean: " + near
	}
	return usage("unknown command %q for %q%s\nSee: %s --help", rest[0], found.CommandPath(), hint, found.CommandPath())
}

// wantArgs checks the number of arguments. The text what names them, as the command's Use does.
func wantArgs(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		see := "; see: " + cmd.CommandPath() + " --help"
		switch {
		case len(args) < least:
			return usage("%s: want %s%s", cmd.CommandPath(), what, see)
		case most >= 0 && len(args) > most && most == 0:
			return usage("%s takes no arguments, not %q%s", cmd.CommandPath(), args[0], see)
		case most >= 0 && len(args) > most:
			return usage("%s: want %s, and not %q too%s", cmd.CommandPath(), what, args[most], see)
		default:
			return nil
		}
	}
}

// serverCommand adds the flags of commands that call a server.
func (c *console) serverCommand(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&c.url, "url", c.value("url"), help("url"))
	cmd.Flags().StringVar(&c.token, "token", "", help("token"))
	return cmd
}

// client returns a client of the server that a command calls.
func (c *console) client() (*apiclient.Client, error) {
	if err := c.checkEnv(deploymentVars...); err != nil {
		return nil, err
	}
	token := c.token
	if token == "" {
		token = c.value("token") // not a flag's default, which --help would print
	}
	return apiclient.New(c.url, &apiclient.Options{Token: token, Agent: "piecework/" + version()})
}
