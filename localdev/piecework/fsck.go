package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/localdev"
)

// fsckFlags are the flags of fsck.
type fsckFlags struct {
	dir, store, blobs string
	deep, repair      bool
	late              time.Duration
}

func fsckCommand(c *console) *cobra.Command {
	var f fsckFlags
	cmd := &cobra.Command{
		Use: "fsck", Short: "Check the stored state for broken rules", Args: wantArgs(0, 0, ""),
		Long: "Reads the store and the files directly, without a server, and reports every rule that the stored state breaks.\n" +
			"It changes nothing without --repair, and may run beside a server. The exit status is 1 if there is a problem.\n" +
			"With --repair it removes files over a day old that nothing refers to: files that an ended job does not list, and\n" +
			"files of jobs and parked messages without a record.",
		RunE: func(cmd *cobra.Command, _ []string) error { return check(cmd.Context(), c, f) },
	}
	flags := cmd.Flags()
	for name, to := range map[string]*string{"dir": &f.dir, "store": &f.store, "blobs": &f.blobs} {
		flags.StringVar(to, name, c.value(name), help(name))
	}
	flags.BoolVar(&f.deep, "deep", false, "read every file and compare its checksum")
	flags.BoolVar(&f.repair, "repair", false, "remove files over a day old that nothing refers to")
	flags.DurationVar(&f.late, "late", 0, "report records that have been due for longer than this (default: none)")
	return cmd
}

func check(ctx context.Context, c *console, f fsckFlags) error {
	if err := c.checkEnv(deploymentVars...); err != nil {
		return err
	}
	state, err := openState(ctx, f)
	if err != nil {
		return err
	}
	defer state.Close()
	report, err := fsck.Check(ctx, state.Records, state.Bucket, fsck.Options{Now: c.Now(), Timing: localdev.Timing(), Late: f.late, Deep: f.deep, Repair: f.repair})
	if err != nil {
		return err
	}
	if report.Problems == nil {
		report.Problems = []fsck.Problem{}
	}
	if c.JSON {
		err = c.PrintJSON(report)
	} else {
		c.fsck(report)
	}
	if err == nil && len(report.Problems) > 0 {
		err = &silent{exitError}
	}
	return err
}

// fsck shows a report.
func (c *console) fsck(r fsck.Report) {
	for _, list := range [][]fsck.Problem{r.Problems, r.Notes} {
		if len(list) == 0 {
			continue
		}
		t := newTable("RECORD", "RULE", "WHAT")
		for _, p := range list {
			t.add(oneLine(p.ID), p.Rule, oneLine(p.Text))
		}
		t.print(c)
		c.Printf("\n")
	}
	var states []string
	for s, n := range r.ByState {
		states = append(states, fmt.Sprintf("%d %s", n, s))
	}
	slices.Sort(states)
	jobs := count(r.Jobs, "job", "jobs")
	if len(states) > 0 {
		jobs += " (" + strings.Join(states, ", ") + ")"
	}
	c.Printf("%s, %s, %s, %s of files\n", count(r.Records, "record", "records"), jobs, count(r.Blobs, "file", "files"), size(r.Bytes))
	if r.Removed > 0 {
		c.Printf("removed %s (%s) that nothing refers to\n", count(r.Removed, "file", "files"), size(r.RemovedBytes))
	}
	if len(r.Problems) == 0 {
		c.Printf("%s\n", c.paint("32", "no problems"))
		return
	}
	c.Printf("%s\n", c.paint("31", count(len(r.Problems), "problem", "problems")))
}

// openState opens the store and the files of a server.
func openState(ctx context.Context, f fsckFlags) (*localdev.Storage, error) {
	state, err := localdev.OpenStorage(ctx, localdev.Config{Dir: f.dir, Store: f.store, Blobs: f.blobs, Drivers: storeDrivers()})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage("name the data directory of a server with --dir, or its store with --store: %w", err)
	}
	return state, err
}
