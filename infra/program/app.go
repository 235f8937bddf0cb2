package program

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/infra/drivers"
)

// App is a program: the jobs that it runs, the services that its environment may name, and its
// modes.
type App struct {
	Jobs    *functions.Registry
	Drivers []func(*drivers.Set) // the functions Register of packages below infra/drivers
	Modes   []Mode               // beside worker and serve
	// Serve, if not nil, may change what the environment says about serving.
	Serve func(*cloudrun.Options)
}

// Mode is a way to run jobs. It is a command of its name. Without a command the program uses the
// first mode whose Here says that the process runs on its platform.
type Mode struct {
	Name  string // of the command
	Short string // one line for the help
	Long  string
	// Here reports whether the environment is one of the mode's platform. Nil: never.
	Here func(getenv func(string) string) bool
	// Check returns what is wrong with the environment, before anything that it names is opened.
	// Nil: nothing.
	Check func(e Environment) error
	// Run serves until ctx ends, which is the first signal to stop, and then drains. The deployment
	// is closed after it.
	Run func(ctx context.Context, d *Deployment) error
}

// Main runs the process's command line and ends the process. The program runs jobs. Register are
// the functions Register of the drivers of the services that the environment may name.
func Main(jobs *functions.Registry, register ...func(*drivers.Set)) {
	App{Jobs: jobs, Drivers: register}.Main()
}

// Main runs the process's command line and ends the process.
func (a App) Main() {
	os.Exit(a.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr, os.Environ()))
}

// modes returns all modes, with the modes of platforms first.
func (a App) modes() []Mode {
	worker := Mode{
		Name:  "worker",
		Short: "Run jobs until told to stop",
		Long: "Pulls from the queues of all jobs that this program was built with, runs them, and sweeps.\n\n" +
			"The first SIGTERM or SIGINT stops it gracefully: running jobs finish, or are handed back with their checkpoints.\n" +
			"A second leaves at once, which loses nothing either: the jobs start again when their leases have run out.",
		Run: func(ctx context.Context, d *Deployment) error { return d.Pull(ctx) },
	}
	return slices.Concat(a.Modes, []Mode{serveMode(a.Serve), worker})
}

// here returns the name of the mode of the platform that the process runs on, "" if it runs on
// none.
func (a App) here(environ []string) string {
	for _, m := range a.modes() {
		if m.Here != nil && m.Here(Environment{lines: environ}.Getenv) {
			return m.Name
		}
	}
	return ""
}

func (p *program) modeCommand(m Mode) *cobra.Command {
	return &cobra.Command{
		Use: m.Name, Short: m.Short, Long: m.Long, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context(), m) },
	}
}

// run checks the environment, opens the deployment, serves, and closes the deployment.
func (p *program) run(ctx context.Context, m Mode) (err error) {
	env, err := ReadEnvironment(p.environ)
	if m.Check != nil {
		err = errors.Join(err, m.Check(env))
	}
	if err != nil {
		return err
	}
	d, err := Open(ctx, p.environ, p.err, p.app.Jobs, p.app.Drivers...)
	if err != nil {
		return err
	}
	d.leave = p.leave
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	return m.Run(ctx, d)
}
