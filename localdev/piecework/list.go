package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

func listCommand(c *console) *cobra.Command {
	var f wire.List
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List jobs, newest first", Args: takes(0, 0, ""),
		Long:    "Lists jobs, newest first; failed jobs by the time they failed, with --state failed.",
		Example: "  piecework list --state failed\n  piecework list --kind demo.sleep --json | jq -r '.jobs[].id'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			if f.State != "" && !store.State(f.State).Valid() {
				return usage("%s", wire.Unknown("state", f.State, stateNames()))
			}
			list, err := client.List(cmd.Context(), f)
			if err != nil {
				return err
			}
			if c.JSON {
				return c.PrintJSON(list)
			}
			c.list(list)
			return nil
		},
	}
	flags := c.asks(cmd).Flags()
	flags.StringVar(&f.Kind, "kind", "", "only jobs of this kind")
	flags.StringVar(&f.State, "state", "", "only jobs in this state: "+strings.Join(stateNames(), ", "))
	flags.StringVar(&f.Tag, "tag", "", "only jobs with this tag")
	flags.IntVar(&f.Limit, "limit", 50, "how many to show, at most 1000")
	flags.StringVar(&f.Cursor, "cursor", "", "go on where a list ended")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	_ = cmd.RegisterFlagCompletionFunc("kind", c.completeKinds)
	return cmd
}

func stateNames() []string {
	var names []string
	for _, s := range store.States() {
		names = append(names, string(s))
	}
	return names
}

// list shows jobs in a table.
func (c *console) list(l functions.List) {
	if len(l.Jobs) == 0 && l.Next == "" {
		c.Hintf("no jobs\n")
		return
	}
	t := newTable("ID", "KIND", "STATE", "ATTEMPT", "CREATED", "NOTE")
	for _, j := range l.Jobs {
		t.add(j.ID, j.Kind, c.state(j.State), attempts(j), c.when(j.Created), note(j))
	}
	t.print(c)
	if l.Next != "" {
		c.Printf("more: --cursor %s\n", l.Next)
	}
}

// note is what there is to say of a job in a few words.
func note(j functions.Info) string {
	switch {
	case j.State == store.Running && j.Progress != nil:
		return progressText(*j.Progress)
	case j.Done() && j.State != store.Succeeded:
		return oneLine(j.Error + j.Reason)
	case j.Waiting != "":
		return oneLine("waits " + j.Waiting)
	case max(j.OutputCount, len(j.Outputs)) > 0: // an older server gives no count
		return count(max(j.OutputCount, len(j.Outputs)), "output", "outputs")
	default:
		return oneLine(jsonText(j.Result))
	}
}
