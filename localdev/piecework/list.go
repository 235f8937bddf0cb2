package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

func listCommand(c *console) *cobra.Command {
	var f wire.List
	var scan int
	var since, before string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List jobs, newest first", Args: wantArgs(0, 0, ""),
		Long: "Lists jobs, newest first. With --state failed it lists failed jobs by the time of their failure. With states of jobs\n" +
			"that have not ended it lists those that were queued longest first, and does not look at jobs that have ended.\n" +
			"It looks at up to --scan jobs for those that match. Then it prints how far it looked, and how to continue.",
		Example: "  piecework list --state failed --since 2h\n  piecework list --state queued,running --queue default\n  piecework list --kind demo.sleep --json | jq -r '.jobs[].id'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			for _, s := range f.States {
				if !store.State(s).Valid() {
					return usage("%s", functions.UnknownName("state", s, stateNames()))
				}
			}
			if f.CreatedFrom, err = c.parsePast("since", since); err != nil {
				return err
			}
			if f.CreatedBefore, err = c.parsePast("before", before); err != nil {
				return err
			}
			if scan < 1 {
				return usage("--scan %d: must be at least 1", scan)
			}
			list, err := scanJobs(cmd.Context(), client, f, scan)
			if err != nil {
				return err
			}
			if len(list.Jobs) == 0 && list.Next == "" {
				if err := checkKind(cmd.Context(), client, f.Kind); err != nil {
					return err
				}
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
	flags.StringVar(&f.Queue, "queue", "", "only jobs on this queue")
	flags.StringSliceVar(&f.States, "state", nil, "only jobs in this state, or in one of several: "+strings.Join(stateNames(), ", "))
	flags.StringVar(&f.Tag, "tag", "", "only jobs with this tag")
	flags.StringVar(&f.Key, "key", "", "only the jobs with this key")
	flags.StringVar(&since, "since", "", "only jobs that were created at this time or later: 2h, for two hours ago, or a time as for submit --at")
	flags.StringVar(&before, "before", "", "only jobs that were created earlier than this time")
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
	pages := 0 // an older server does not count jobs
	for limit := cmp.Or(f.Limit, 50); ; pages++ {
		page, err := client.List(ctx, f)
		if err != nil {
			return list, err
		}
		list.Jobs, list.Next = append(list.Jobs, page.Jobs...), page.Next
		list.Scanned += page.Scanned
		if !page.Until.IsZero() {
			list.Until = page.Until
		}
		if f.Cursor = page.Next; f.Cursor == "" || len(list.Jobs) >= limit || max(list.Scanned, pages) >= most {
			return list, nil
		}
		f.Limit = limit - len(list.Jobs)
	}
}

// checkKind refuses a kind that the server does not know. Lists do not: a kind may come to be known.
func checkKind(ctx context.Context, client *apiclient.Client, kind string) error {
	if kind == "" {
		return nil
	}
	kinds, err := client.Kinds(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	if !slices.Contains(names, kind) {
		return usage("%s", functions.UnknownName("kind", kind, names))
	}
	return nil
}

// parsePast reads the value of a flag: a time, or how long ago it was.
func (c *console) parsePast(flag, text string) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return c.Now().Add(-d), nil
	}
	t, err := parseTime("--"+flag, text)
	if err != nil {
		return t, usage("--%s %q: write it as 2h, for two hours ago, as 2026-12-01T06:00:00Z, or \"2026-12-01 06:00\" in local time", flag, text)
	}
	return t, nil
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
	switch {
	case len(l.Jobs) > 0:
	case l.Next == "" && l.Scanned == 0:
		c.Notef("no jobs\n")
		return
	case l.Next == "":
		c.Notef("no such jobs; looked at all %d that could be\n", l.Scanned)
		return
	default:
		c.Printf("no such jobs among the first %s\nmore: --cursor %s\n", c.looked(l), l.Next)
		return
	}
	t := newTable("ID", "KIND", "STATE", "ATTEMPT", "CREATED", "NOTE")
	for _, j := range l.Jobs {
		t.add(c.shortID(j.ID), j.Kind, c.state(j.State), attempts(j), c.when(j.Created), note(j))
	}
	t.print(c)
	if l.Next != "" {
		c.Printf("more: --cursor %s\n", l.Next)
		c.Hintf("looked at %s\n", c.looked(l))
	}
}

// looked says how far a list has looked.
func (c *console) looked(l functions.List) string {
	if l.Until.IsZero() { // by state, in another order than that of time
		return count(l.Scanned, "job", "jobs")
	}
	return fmt.Sprintf("%s, back to %s", count(l.Scanned, "job", "jobs"), c.when(l.Until))
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
