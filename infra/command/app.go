package command

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
)

// App is a program: the jobs that it runs, the services that its environment may name, and the platforms that it is at
// home on. Packages lambda and cloudrun below this one make one for their platforms; Main is one without.
type App struct {
	Jobs    *functions.Registry
	Drivers []func(*drivers.Set) // the drivers' functions Register
	Modes   []Mode
}

// Mode is a way to run jobs that a platform adds to the worker. It is a command of its name, and what the program does
// without a command where Here says so.
type Mode struct {
	Name  string // of the command
	Short string // one line for the help
	Long  string
	// Here reports whether the environment is that of the platform. Nil: never.
	Here func(environ []string) bool
	// Check says what is wrong with the environment, before anything that it names is opened. Nil: nothing.
	Check func(e Environment) error
	// Run serves until ctx ends, which is the first signal to stop, and then drains. The deployment is closed after it.
	Run func(ctx context.Context, d *Deployment) error
}

// Main runs the process's command line and ends the process.
func (a App) Main() {
	os.Exit(a.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr, os.Environ()))
}

// here returns the name of the command that the platform stands for, "" if the process is at home on none.
func (a App) here(environ []string) string {
	for _, m := range a.Modes {
		if m.Here != nil && m.Here(environ) {
			return m.Name
		}
	}
	return ""
}

func (p *program) modeCommand(m Mode) *cobra.Command {
	return &cobra.Command{
		Use: m.Name, Short: m.Short, Long: m.Long, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.check(m); err != nil {
				return err
			}
			return p.serve(cmd.Context(), m.Run)
		},
	}
}

// check says all that is wrong with the environment, as far as that can be seen without opening what it names.
func (p *program) check(m Mode) error {
	if m.Check == nil {
		return nil
	}
	env, err := readEnv(p.environ)
	return errors.Join(err, m.Check(env.Environment))
}

// serve opens the deployment, serves, and closes it.
func (p *program) serve(ctx context.Context, run func(context.Context, *Deployment) error) (err error) {
	d, err := Open(ctx, p.environ, p.err, p.app.Jobs, p.app.Drivers...)
	if err != nil {
		return err
	}
	d.leave = p.leave
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	return run(ctx, d)
}

// Main runs the process's command line and ends the process. The worker runs jobs; register are the drivers' functions
// Register, of the services that the environment may name.
func Main(jobs *functions.Registry, register ...func(*drivers.Set)) {
	App{Jobs: jobs, Drivers: register}.Main()
}

// Run runs a command line and returns its exit status. The end of ctx counts as the first signal to stop.
func Run(
	ctx context.Context, args []string, stdout, stderr io.Writer, environ []string,
	jobs *functions.Registry, register ...func(*drivers.Set),
) int {
	return App{Jobs: jobs, Drivers: register}.Run(ctx, args, stdout, stderr, environ)
}
