package program

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
)

func (p *program) initCommand() *cobra.Command {
	printOnly := false
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Create what the store needs",
		Long: "Creates the table, indexes or whatever else the store of PIECEWORK_STORE needs, where it is missing. What exists is\n" +
			"left alone, so init may be run at every deployment. With --print it creates nothing and prints what it would: SQL,\n" +
			"a command or a file of indexes, for those who provision otherwise.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.provision(cmd.Context(), printOnly) },
	}
	cmd.Flags().BoolVar(&printOnly, "print", false, "print it instead; needs no server")
	return cmd
}

// provision creates what the store needs, or prints it.
func (p *program) provision(ctx context.Context, printOnly bool) error {
	env, err := ReadEnvironment(p.environ)
	if err != nil {
		return err
	}
	provisioner, err := drivers.New(p.app.Drivers...).Provisioner(env.Config)
	if err != nil {
		return fmt.Errorf("PIECEWORK_STORE: %w", err)
	}
	text, err := provisioner.Print()
	if err != nil {
		return fmt.Errorf("PIECEWORK_STORE: print what the store needs: %w", err)
	}
	store := functions.RedactURL(env.Store)
	if !printOnly {
		if err := provisioner.Apply(ctx); err != nil {
			return fmt.Errorf("PIECEWORK_STORE: create what the store %s needs: %w; check that the server is up, and that this process "+
				"may create tables and indexes there, or give what init --print prints to someone who may", store, err)
		}
		text = fmt.Sprintf("The store %s is ready. This was created where it was missing, and left alone where it was there:\n\n%s", store, text)
	}
	_, err = fmt.Fprint(p.out, text)
	return err
}
