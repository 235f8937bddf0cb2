package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

func listCommand(c *console) *cobra.Command {
	var f wire.List
	var scan int
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List jobs, newest first", Args: wantArgs(0, 0, ""),
		Long: "Lists jobs, newest first. With --state failed it lists failed jobs by the time of their failure.\n" +
			"It looks at up to --scan jobs for those that match. Then it prints how far it looked, and how to continue.",
		Example: "  piecework list --state failed\n  piecework list --kind demo.sleep --json | jq -r '.jobs[].id'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			if f.State != "" && !store.State(f.State).Valid() {
				return usage("%s", functions.UnknownName("state", f.State, stateNames()))
			}
			if scan < 1 {
				return usage("--scan %d: must be at least 1", scan)
			}
			list, err := scanJobs(cmd.Context(), client, f, scan)
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
	flags := c.serverCommand(cmd).Flags()
	flags.StringVar(&f.Kind, "kind", "", "only jobs of this kind")
	flags.StringVar(&f.State, "state", "", "only jobs in this state: "+strings.Join(stateNames(), ", "))
	flags.StringVar(&f.Tag, "tag", "", "only jobs with this tag")
	flags.IntVar(&f.Limit, "limit", 50, "how many to show, at most 1000")
	flags.IntVar(&scan, "scan", 100_000, "about how many jobs to look at, while fewer than --limit match")
	flags.BoolVar(&f.Payloads, "payloads", false, "with --json: include arguments and results of up to 32 KiB (default: up to 512 bytes)")
	flags.StringVar(&f.Cursor, "cursor", "", "continue where a list ended")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	_ = cmd.RegisterFlagCompletionFunc("kind", c.completeKinds)
	return cmd
}

// scanJobs lists jobs until it has the filter's limit, has looked at most or more, or is at the
// end.
func scanJobs(ctx context.Context, client *apiclient.Client, f wire.List, most int) (functions.List, error) {
	list := functions.List{Jobs: []functions.Info{}}
	for limit := cmp.Or(f.Limit, 50); ; {
		page, err := client.List(ctx, f)
		if err != nil {
			return list, err
		}
		list.Jobs, list.Next = append(list.Jobs, page.Jobs...), page.Next
		list.Scanned += max(page.Scanned, 1) // older servers do not count
		if !page.Until.IsZero() {
			list.Until = page.Until
		}
		if f.Cursor = page.Next; f.Cursor == "" || len(list.Jobs) >= limit || list.Scanned >= most {
			return list, nil
		}
		f.Limit = limit - len(list.Jobs)
	}
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
		c.Notef("no jobs\n")
		return
	}
	if len(l.Jobs) == 0 {
		c.Printf("no such jobs among the newest %d, back to %s\nmore: --cursor %s\n", l.Scanned, c.when(l.Until), l.Next)
		return
	}
	t := newTable("ID", "KIND", "STATE", "ATTEMPT", "CREATED", "NOTE")
	for _, j := range l.Jobs {
		t.add(c.shortID(j.ID), j.Kind, c.state(j.State), attempts(j), c.when(j.Created), note(j))
	}
	t.print(c)
	if l.Next != "" {
		c.Printf("more: --cursor %s\n", l.Next)
		c.Hintf("looked at %d jobs, back to %s\n", l.Scanned, c.when(l.Until))
	}
}

// note describes a job in a few words.
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
