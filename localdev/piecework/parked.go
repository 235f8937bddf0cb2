package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

func parkedCommand(c *console) *cobra.Command {
	var limit int
	var cursor string
	cmd := &cobra.Command{
		Use: "parked", Short: "List, replay or remove messages that could not be made jobs", Args: wantArgs(0, 0, ""),
		Long:    "Lists messages of the submit queue that could not be made jobs, with the reason, newest first.",
		Example: "  piecework parked --json | jq -r '.parked[].id' | xargs piecework parked replay",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			page, err := client.Parked(cmd.Context(), limit, cursor)
			if err != nil {
				return err
			}
			if c.JSON {
				return c.PrintJSON(page)
			}
			if len(page.Parked) == 0 && page.Next == "" {
				c.Notef("no parked messages\n")
				return nil
			}
			if len(page.Parked) > 0 {
				t := newTable("ID", "WHEN", "REASON")
				for _, p := range page.Parked {
					t.add(c.shortID(p.ID), c.when(p.At), oneLine(p.Reason))
				}
				t.print(c)
			}
			if page.Next != "" {
				c.Printf("more: --cursor %s\n", page.Next)
			}
			return nil
		},
	}
	flags := c.serverCommand(cmd).Flags()
	flags.IntVar(&limit, "limit", 50, "how many to show, at most 1000")
	flags.StringVar(&cursor, "cursor", "", "continue where a list ended")
	cmd.AddCommand(
		unparkCommand(c, "replay", "Submit parked messages again",
			"A message that becomes a job is no longer parked. The others stay, and their reasons are printed. It is safe to repeat.",
			(*apiclient.Client).ReplayParked),
		unparkCommand(c, "remove", "Delete parked messages", "", (*apiclient.Client).RemoveParked))
	return cmd
}

// unparkCommand returns a command that applies one operation to parked messages.
func unparkCommand(
	c *console, name, short, long string, do func(*apiclient.Client, context.Context, string) (wire.Unparked, error),
) *cobra.Command {
	return c.serverCommand(&cobra.Command{
		Use: name + " ID...", Short: short, Args: wantArgs(1, -1, "the ID of a parked message, or several"),
		Long: strings.TrimSpace(short+". "+long) + "\n\n" + idHelp + "\n\n" + exitHelp,
		RunE: func(cmd *cobra.Command, ids []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			f, err := findParked(cmd.Context(), client, ids...)
			if err != nil {
				return err
			}
			return eachID(c, ids, func(id string) (wire.Unparked, error) {
				if id, err = f.whole(id); err != nil {
					return wire.Unparked{}, err
				}
				return do(client, cmd.Context(), id)
			},
				func(u wire.Unparked) { c.Printf("%s %s\n", u.ID, unparked(name, u)) },
				func(all []wire.Unparked) any { return map[string][]wire.Unparked{"unparked": all} })
		},
	})
}

// unparked describes what happened to a message.
func unparked(name string, u wire.Unparked) string {
	switch {
	case u.Job != "":
		return u.Job
	case name == "remove":
		return "removed"
	default:
		return "no trigger wants it"
	}
}
