package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/doctor"
)

// The exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

// errUsage says that the command line is wrong.
var errUsage = errors.New("usage")

// program is one run of the program.
type program struct {
	out, err io.Writer
	environ  []string
	app      App
	leave    <-chan struct{} // closed by the second signal
}

// Run runs a command line and returns its exit status. The end of ctx counts as the first signal to
// stop.
func (a App) Run(ctx context.Context, args []string, stdout, stderr io.Writer, environ []string) int {
	ctx, leave, stop := interrupted(ctx)
	defer stop()
	p := &program{out: stdout, err: stderr, environ: environ, app: a, leave: leave}
	if name := a.here(environ); name != "" && len(args) == 0 {
		args = []string{name}
	}
	root := p.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return statusOK
	}
	if text := err.Error(); strings.HasPrefix(text, "unknown command") {
		text = strings.TrimSpace(strings.ReplaceAll(text, "\n\nDid you mean this?\n\t", "; did you mean: "))
		err = fmt.Errorf("%w: %s; see: %s --help", errUsage, text, cmd.CommandPath())
	}
	if !errors.Is(err, doctor.ErrUnhealthy) { // its findings have been printed
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", root.Name(), err)
	}
	if errors.Is(err, errUsage) || errors.Is(err, functions.ErrConfig) {
		return statusUsage
	}
	return statusFailed
}

// interrupted returns a context that ends with the first signal to stop, and a channel that the
// second closes. A third signal ends the process.
func interrupted(parent context.Context) (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	leave, done := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-parent.Done():
		case <-done:
			return
		}
		cancel()
		select {
		case <-signals:
			signal.Stop(signals)
			close(leave)
		case <-done:
		}
	}()
	return ctx, leave, func() { close(done); signal.Stop(signals); cancel() }
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "pieceworkd", // and not "piecework", the command line in localdev/piecework
		Short: "Run background jobs, and set up and check what they need",
		Long: "Runs the jobs that this program was built with. PIECEWORK_STORE, PIECEWORK_QUEUES and PIECEWORK_BLOBS name the store,\n" +
			"the queues and the bucket, each by a URL: see the README for the URLs of each target, and\n" +
			"go doc github.com/piecework/piecework/infra/drivers for all. \"pieceworkd help environment\" lists the other variables.\n\n" +
			"It submits and lists no jobs: the command line \"piecework\" does, over the HTTP API of \"pieceworkd serve\".\n\n" +
			"Exit status: 0 done, 1 error, for the doctor also a finding that says FAIL, 2 wrong command line or environment.",
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetFlagErrorFunc(unknownFlag)
	for _, m := range p.app.modes() {
		root.AddCommand(p.modeCommand(m))
	}
	root.AddCommand(p.initCommand(), p.doctorCommand(), environmentTopic())
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
	return fmt.Errorf("%w: unknown command %q for %q%s; see: %s --help", errUsage, rest[0], found.CommandPath(), hint, found.CommandPath())
}

// unknownFlag names the nearest flag.
func unknownFlag(cmd *cobra.Command, err error) error {
	if missing, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		name := strings.TrimLeft(missing.GetSpecifiedName(), "-")
		if near := functions.NearestName(name, names); near != "" {
			return fmt.Errorf("%w: unknown flag --%s; did you mean --%s?", errUsage, name, near)
		}
	}
	return fmt.Errorf("%w: %w; see: %s --help", errUsage, err, cmd.CommandPath())
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: %s takes no arguments, not %q; see: %s --help", errUsage, cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}
