package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/line"
)

func getCommand(c *console) *cobra.Command {
	return c.serverCommand(&cobra.Command{
		Use: "get ID", Aliases: []string{"show"}, Short: "Show a job", Args: wantArgs(1, 1, "the ID of a job"),
		Long: "Shows a job: its state, why it waits, its attempts, result and files.\n\n" + idHelp + "\n\n" + exitHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			id, err := jobID(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			job, err := client.Get(cmd.Context(), id)
			if err != nil {
				return err
			}
			if c.JSON {
				return c.PrintJSON(job)
			}
			c.job(job)
			return nil
		},
	})
}

// job shows a job.
func (c *console) job(j functions.Info) {
	line := func(name, value string) {
		if value != "" {
			c.Printf("%s %s\n", c.dim(fmt.Sprintf("%-9s", name)), value)
		}
	}
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			line(name, c.moment(t))
		}
	}
	line("job", c.bold(j.ID))
	line("kind", j.Kind)
	line("state", strings.TrimSpace(c.state(j.State)+"  "+c.dim(oneLine(j.Waiting))))
	if p := j.Progress; p != nil && !j.Done() {
		line("progress", progressText(*p))
	}
	line("attempt", attempts(j))
	line("queue", j.Queue)
	line("key", oneLine(j.Key))
	line("tags", oneLine(strings.Join(j.Tags, ", ")))
	at("created", j.Created)
	if !j.Done() {
		at("start at", j.At)
	}
	at("started", j.Started)
	at("ended", j.Ended)
	at("deadline", j.Deadline)
	at("expires", j.Expires)
	line("worker", oneLine(j.Worker))
	line("args", jsonText(j.Args))
	line("result", jsonText(j.Result))
	line("error", c.paint("31", strings.TrimSpace(clean(j.Error))))
	line("reason", oneLine(j.Reason))
	c.attempts(j)
	c.outputs(j.Outputs)
}

// attempts shows the attempts of a job with more than one, or with a failed one.
func (c *console) attempts(j functions.Info) {
	if len(j.Attempts) == 0 || len(j.Attempts) == 1 && j.Attempts[0].Error == "" {
		return
	}
	c.Printf("\n")
	t := newTable("ATTEMPT", "STARTED", "TOOK", "OUTCOME", "ERROR")
	for _, a := range j.Attempts {
		t.add(fmt.Sprint(a.Number), c.when(a.Start), short(a.End.Sub(a.Start)), string(a.Outcome), oneLine(a.Error))
	}
	t.print(c)
	if last := j.Attempts[len(j.Attempts)-1]; last.Stack != "" {
		c.Printf("\n%s\n", strings.TrimSpace(clean(last.Stack)))
	}
}

// outputs shows files.
func (c *console) outputs(list []functions.OutputInfo) {
	if len(list) == 0 {
		return
	}
	c.Printf("\n")
	t := newTable("OUTPUT", "SIZE", "TYPE")
	for _, o := range list {
		t.add(oneLine(o.Name), size(o.Size), o.ContentType)
	}
	t.print(c)
}

// attempts formats the number of attempts used and allowed, as in "2/5". A retry numbers attempts
// on and gives new ones, as in "4 (1/5)".
func attempts(j functions.Info) string {
	switch number, limit := j.Past+j.Attempt, j.Limits.MaxAttempts; {
	case limit == 0:
		return fmt.Sprint(number)
	case j.Past == 0:
		return fmt.Sprintf("%d/%d", number, limit)
	default:
		return fmt.Sprintf("%d (%d/%d)", number, j.Attempt, limit)
	}
}

// maxJSON limits how much of a value is shown; --json shows all of it.
const maxJSON = 2000

// jsonText formats a value on one line.
func jsonText(v json.RawMessage) string {
	var b bytes.Buffer
	if len(v) == 0 || json.Compact(&b, v) != nil {
		return clean(string(v))
	}
	return line.Cut(clean(b.String()), maxJSON)
}
