package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
)

func countCommand(c *console) *cobra.Command {
	var scan int
	cmd := &cobra.Command{
		Use: "count", Short: "Count the jobs that wait or run", Args: wantArgs(0, 0, ""),
		Long: "Counts the jobs that have not ended, by kind, queue and state, and says how long the jobs of each queue wait for a worker.\n" +
			"It looks at up to --scan jobs. If there are more, it says so, and all numbers and times are at least those printed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			if scan < 1 {
				return usage("--scan %d: must be at least 1", scan)
			}
			counts, err := client.Count(cmd.Context(), scan)
			if err != nil {
				return err
			}
			if c.JSON {
				return c.PrintJSON(counts)
			}
			c.counts(counts)
			return nil
		},
	}
	c.serverCommand(cmd).Flags().IntVar(&scan, "scan", 10_000, "how many jobs to look at, at most 100000")
	return cmd
}

// counts shows how many jobs there are in two tables.
func (c *console) counts(n functions.Counts) {
	if len(n.Jobs) == 0 {
		c.Notef("no jobs wait or run\n")
		return
	}
	t := newTable("KIND", "QUEUE", "STATE", "JOBS")
	for _, k := range n.Jobs {
		t.add(k.Kind, k.Queue, c.state(k.State), fmt.Sprint(k.Jobs))
	}
	t.print(c)
	if len(n.Queues) > 0 {
		c.Printf("\n")
		t = newTable("QUEUE", "WAITING", "OLDEST")
		for _, b := range n.Queues {
			t.add(b.Queue, fmt.Sprint(b.Waiting), short(time.Duration(b.Oldest)))
		}
		t.print(c)
	}
	if n.AtLeast {
		c.Printf("at least: there are more than the %s that were looked at\n", count(n.Scanned, "job", "jobs"))
	}
}
