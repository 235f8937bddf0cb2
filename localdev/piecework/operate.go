package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

func kindsCommand(c *console) *cobra.Command {
	return c.serverCommand(&cobra.Command{
		Use: "kinds [KIND]", Short: "List the kinds of jobs that the server knows, or show one", Args: wantArgs(0, 1, "one KIND or none"),
		Long:              "Lists the kinds of jobs that the server knows. With KIND it shows the JSON Schemas of that kind's arguments and result.",
		ValidArgsFunction: c.completeKinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return c.showKind(cmd.Context(), client, args[0])
			}
			kinds, err := client.Kinds(cmd.Context())
			if err != nil {
				return err
			}
			if c.JSON {
				return c.PrintJSON(wire.Kinds{Kinds: kinds})
			}
			if len(kinds) == 0 {
				c.Notef("no kinds\n")
				return nil
			}
			c.kinds(kinds...)
			return nil
		},
	})
}

// kinds shows kinds in a table.
func (c *console) kinds(kinds ...functions.KindInfo) {
	t := newTable("KIND", "RUNS HERE", "QUEUE", "TRIES", "TIME LIMIT", "KEPT", "FIELDS")
	for _, k := range kinds {
		t.add(kindRow(k)...)
	}
	t.print(c)
}

// showKind shows a kind, with the JSON of its jobs.
func (c *console) showKind(ctx context.Context, client *apiclient.Client, name string) error {
	k, err := client.Kind(ctx, name)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.PrintJSON(k)
	}
	c.kinds(k.KindInfo)
	for _, s := range []struct {
		what, typ string
		schema    json.RawMessage
	}{{"arguments", k.Args, k.ArgsSchema}, {"result", k.Result, k.ResultSchema}} {
		c.Printf("\n%s %s\n", c.dim(s.what), oneLine(s.typ))
		if text := jsonText(s.schema); text != "" {
			c.Printf("  %s\n", text)
		}
	}
	return nil
}

// kindRow returns the table row of a kind.
func kindRow(k functions.KindInfo) []string {
	if k.Queue == "" {
		return []string{k.Name, "no", "", "", "", "", ""} // known from a submitted job only
	}
	runs, tries, limit, kept := "no", "no limit", "none", "forever"
	if k.Handled {
		runs = "yes"
	}
	if k.Limits.MaxAttempts > 0 {
		tries = fmt.Sprint(k.Limits.MaxAttempts)
	}
	if k.Limits.Timeout > 0 {
		limit = short(time.Duration(k.Limits.Timeout))
	}
	if k.Retention > 0 {
		kept = short(time.Duration(k.Retention))
	}
	return []string{k.Name, runs, k.Queue, tries, limit, kept, strings.Join(k.Fields, ", ")}
}

// completeKinds offers the server's kinds to the shell.
func (c *console) completeKinds(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	client, err := c.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), time.Second)
	defer cancel()
	kinds, err := client.Kinds(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func sweepCommand(c *console) *cobra.Command {
	var s wire.Sweep
	cmd := &cobra.Command{
		Use: "sweep", Short: "Sweep now", Args: wantArgs(0, 0, ""),
		Long: "Starts jobs whose time has come, sends lost messages again, ends attempts whose worker died, and removes jobs\n" +
			"past their retention. \"piecework up\" sweeps every second; deployments sweep on a timer.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			r, err := client.Sweep(cmd.Context(), s)
			if err != nil {
				return err
			}
			if c.JSON {
				return c.PrintJSON(r)
			}
			c.printSweep(r)
			return nil
		},
	}
	flags := c.serverCommand(cmd).Flags()
	flags.IntVar(&s.Limit, "limit", 0, "the most records to look at (default: all that are due)")
	flags.StringVar(&s.For, "for", "", "how long to sweep, as in 20s (default: half of the request timeout)")
	return cmd
}

// printSweep prints what a sweep did, and omits zeros.
func (c *console) printSweep(r functions.SweepResult) {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{r.Started, "started"}, {r.Resent, "sent again"}, {r.Lost, "attempts lost"}, {r.Expired, "past their deadline"},
		{r.Rearmed, "alive"}, {r.Settled, "settled"}, {r.Removed, "removed"}, {r.Left, "left to others"}, {r.Failures, "failed: see the server's log"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	text := "nothing was due"
	if r.Looked > 0 {
		text = count(r.Looked, "record was due", "records were due")
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if r.More {
		text += "; there is more: sweep again"
	}
	c.Printf("%s\n", text)
}

func statsCommand(c *console) *cobra.Command {
	return c.serverCommand(&cobra.Command{
		Use: "stats", Short: "Show counters of the server's process since its start", Args: wantArgs(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			s, err := client.Stats(cmd.Context())
			if err != nil {
				return err
			}
			if c.JSON {
				return c.PrintJSON(s)
			}
			c.Printf("since %s\n", c.moment(s.Started))
			t := newTable("JOBS", "", "ATTEMPTS", "", "MESSAGES", "")
			n := func(v int64) string { return fmt.Sprint(v) }
			t.add("submitted", n(s.Submitted), "started", n(s.Claimed), "parked", n(s.Parked))
			t.add("existing", n(s.Existing), "attempts retried", n(s.AttemptsRetried), "messages returned", n(s.MessagesReturned))
			t.add("succeeded", n(s.Succeeded), "continued", n(s.Continued), "without use", n(s.Dropped))
			t.add("failed", n(s.Failed), "handed back", n(s.HandedBack), "not sent", n(s.SendErrors))
			t.add("cancelled", n(s.Cancelled), "leases lost", n(s.LeasesLost), "", "")
			t.add("skipped", n(s.Skipped), "handlers abandoned", n(s.HandlersAbandoned), "calls abandoned", n(s.CallsAbandoned))
			t.print(c)
			return nil
		},
	})
}
