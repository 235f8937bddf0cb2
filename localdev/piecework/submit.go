package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// submitFlags are the options of a submission.
type submitFlags struct {
	sub         wire.Submit
	at          string
	maxAttempts int
	wait        bool
	timeout     time.Duration
}

func submitCommand(c *console) *cobra.Command {
	var f submitFlags
	cmd := &cobra.Command{
		Use:   "submit KIND [ARGS]",
		Short: "Submit a job and print its id",
		Long: "Submits a job of a kind. ARGS are JSON, @FILE for the content of a file, or - for standard input. Default: null.\n\n" +
			"Prints the job's id. With --wait it waits for the end as \"piecework wait\" does.\n\n" + exitHelp,
		Example: `  piecework submit demo.echo '{"hello":"world"}' --wait
  piecework submit demo.sleep '{"for":"20s"}' --in 5m --tag test
  piecework submit banking.statement @args.json --key acct-42/2026-11 --at 2026-12-01T06:00:00Z`,
		Args: wantArgs(1, 2, "KIND [ARGS]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("max-attempts") {
				f.sub.MaxAttempts = &f.maxAttempts
			}
			if cmd.Flags().Changed("timeout") && !f.wait {
				return usage("--timeout limits --wait, which is not given; --time-limit limits an attempt")
			}
			if err := checkTimeout(f.timeout); err != nil {
				return err
			}
			return submit(cmd.Context(), c, args, f)
		},
		ValidArgsFunction: c.completeKinds,
	}
	flags := c.serverCommand(cmd).Flags()
	flags.StringVar(&f.sub.Key, "key", "", "idempotency key: the same kind and key is the same job")
	flags.StringVar(&f.at, "at", "", "start no earlier than this time: 2026-12-01T06:00:00Z, or \"2026-12-01 06:00\" in local time")
	flags.StringVar(&f.sub.Delay, "in", "", "start after this delay, as in 90s or 1h30m")
	flags.StringVar(&f.sub.Queue, "queue", "", "the queue (default: the kind's)")
	flags.StringSliceVar(&f.sub.Tags, "tag", nil, "a label to find the job by; can be repeated")
	flags.BoolVar(&f.sub.Held, "held", false, "do not start until \"piecework release\"")
	flags.IntVar(&f.maxAttempts, "max-attempts", 0, "the most attempts, -1 without limit (default: the kind's)")
	flags.StringVar(&f.sub.Timeout, "time-limit", "", "the longest attempt, 0s without limit (default: the kind's)")
	flags.StringVar(&f.sub.Deadline, "deadline", "", "when the job fails if it has not ended, counted from now (default: the kind's)")
	flags.StringVar(&f.sub.Retention, "retention", "", "how long to keep the job after its end, 0s forever (default: the kind's)")
	flags.BoolVarP(&f.wait, "wait", "w", false, "wait for the end of the job")
	flags.DurationVar(&f.timeout, "timeout", 0, "with --wait: the longest wait (default: without limit)")
	return cmd
}

func submit(ctx context.Context, c *console, args []string, f submitFlags) error {
	f.sub.Kind = args[0]
	var err error
	if len(args) > 1 {
		if f.sub.Args, err = c.arguments(args[1]); err != nil {
			return err
		}
	}
	if f.at != "" && f.sub.Delay != "" {
		return usage("--at and --in are mutually exclusive")
	}
	if f.sub.At, err = parseTime("--at", f.at); err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	receipt, err := client.Submit(ctx, f.sub)
	if err != nil {
		return explainUnsure(err, f.sub)
	}
	switch {
	case f.wait:
		c.Hintf("%s\n", receipt.ID)
		return wait(ctx, c, client, receipt.ID, f.timeout)
	case c.JSON:
		return c.PrintJSON(receipt)
	}
	c.Printf("%s\n", receipt.ID)
	note := string(receipt.State)
	if receipt.Existing {
		note = "the job with this key exists already: " + note
	}
	c.Hintf("%s\n", c.dim(note+"; see: "+programName()+" wait "+receipt.ID))
	return nil
}

// explainUnsure says what to do after an error that leaves open whether the job was submitted.
func explainUnsure(err error, sub wire.Submit) error {
	var refused *wire.Problem
	if errors.As(err, &refused) && refused.Status < 500 || errors.Is(err, apiclient.ErrUnreachable) {
		return err
	}
	if sub.Key == "" {
		return fmt.Errorf("%w\nThe job may have been submitted: check with \"piecework list --kind %s\". With --key, submitting again is safe", err, sub.Kind)
	}
	return fmt.Errorf("%w\nSubmit again with the same --key to be sure", err)
}

// arguments reads a job's arguments: JSON, @file or - for standard input.
func (c *console) arguments(text string) (json.RawMessage, error) {
	from := "the arguments"
	data := []byte(text)
	var err error
	switch {
	case text == "-":
		from = "standard input"
		data, err = io.ReadAll(c.In)
	case strings.HasPrefix(text, "@"):
		from = text[1:]
		data, err = os.ReadFile(from)
	}
	if err != nil {
		return nil, usage("arguments: %w", err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		hint := ""
		if from == "the arguments" && !strings.ContainsAny(text, `"{[`) {
			hint = "; a JSON string needs quotes within the shell's quotes: '\"" + oneLine(text) + "\"'"
		} else if from == "the arguments" && strings.HasPrefix(text, "{") && !strings.Contains(text, `"`) {
			hint = "; the shell removed the quotes: put the whole argument in single quotes"
		}
		return nil, usage("%s: not JSON: %w%s", from, err, hint)
	}
	return data, nil
}

// timeForms are the ways to write a time.
var timeForms = []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// parseTime reads a time. Without a zone it is local time.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, form := range timeForms {
		if t, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("%s %q: write it as 2026-12-01T06:00:00Z, or \"2026-12-01 06:00\" in local time", flag, text)
}
