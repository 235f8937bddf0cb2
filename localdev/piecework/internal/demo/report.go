package demo

import (
	"fmt"
	"path/filepath"
	"strconv"
	"text/tabwriter"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/line"
)

// printf prints in text mode.
func (o Options) printf(format string, args ...any) {
	if !o.JSON {
		_, _ = fmt.Fprintf(o.Out, format, args...)
	}
}

// opening says what is about to be seen.
func (o Options) opening(r *Report) {
	if r.Kill == nil {
		o.printf("For each of %s US ZIP codes, the nearest of %s airports\n\n", thousands(zipCodes), thousands(airports))
	}
	o.printf("  system  in this process, over the directory %s\n  job     %s", o.Dir, r.Job)
	switch {
	case r.LeftAt > 0:
		o.printf(", left at row %s: it goes on\n\n", thousands(r.LeftAt))
	case o.Pace > 0:
		o.printf("\n  pace    slowed down to %v, so that you can watch; --pace 0 is full speed\n\n", o.Pace)
	default:
		o.printf("\n\n")
	}
}

// progress shows how far a job is: in one line that it rewrites on a terminal, elsewhere in a line
// for each tenth.
type progress struct {
	o     Options
	line  *line.Line
	tenth int64
}

func newProgress(o Options) *progress { return &progress{o: o, line: line.New(o.Out)} }

func (p *progress) show(i functions.Info) {
	q := i.Progress
	if p.o.JSON || q == nil || q.Total <= 0 {
		return
	}
	text := fmt.Sprintf("%3d %%  %s of %s rows  %s", q.Done*100/q.Total, thousands(q.Done), thousands(q.Total), q.Message)
	if i.Waiting != "" {
		text += "; waiting " + i.Waiting
	}
	if p.o.Width > 0 {
		p.line.Show("  "+line.Bar(q.Done, q.Total, 30)+" "+text, p.o.Width)
	} else if q.Done*10/q.Total > p.tenth {
		p.tenth = q.Done * 10 / q.Total
		p.o.printf("  %s\n", text)
	}
}

// ending prints the outcome.
func (o Options) ending(r *Report) {
	t := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) }
	row("  done in %.1f s: %s rows, attempts: %d, checkpoints: %d", r.Seconds, thousands(r.Result.Rows), len(r.Attempts), r.Result.Checkpoints)
	if r.Kill != nil {
		row("\nAttempts")
		for _, a := range r.Attempts {
			row("  %d\t%s\t%.1f s\t%s\t%s", a.Number, a.Outcome, a.End.Sub(a.Start).Seconds(), a.Worker, a.Error)
		}
		last := r.Attempts[len(r.Attempts)-1]
		row("\nAttempt %d began %.1f s after the kill. Worker 1 had reported row %s; attempt %d went on from row %s.",
			last.Number, last.Start.Sub(r.Kill.At).Seconds(), thousands(r.LeftAt), last.Number, thousands(r.Result.FromRow))
	}
	row("\nFiles")
	for _, f := range r.Files {
		verdict := "as an independent program computed it"
		if f.SHA256 != f.Want {
			verdict = "NOT what an independent program computed: " + f.Want
		}
		row("  %s\t%s bytes\n    sha256 %s\n    %s", filepath.Join(o.Dir, f.Name), thousands(f.Size), f.SHA256, verdict)
	}
	row("\nLook further")
	row("  %s demo --kill", o.Program)
	row("  %s up --dir %q   # and in another terminal:\n  %[1]s get %[3]s", o.Program, o.Dir, r.Job)
	_ = t.Flush() // as printf
}

// thousands writes a number with commas.
func thousands[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
