package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/line"
)

// progress shows the progress of a job: on a terminal in one line that it rewrites, elsewhere in a
// line for each change of state, and for progress every ten seconds.
type progress struct {
	c    *console
	bar  *line.Line
	said string
	at   time.Time
}

func newProgress(c *console) *progress { return &progress{c: c, bar: line.New(c.Err)} }

// every is the interval of progress lines without a terminal.
const every = 10 * time.Second

// see shows the job as it is now.
func (p *progress) see(j functions.Info) {
	if p.c.JSON {
		return
	}
	if w := width(p.c.errTerm); w > 0 {
		p.bar.Show(plain(p.line(j)), w)
		return
	}
	if j.Done() {
		return // the end is printed anyway
	}
	now := p.c.Now()
	text := string(j.State)
	if j.Waiting != "" {
		text += " " + oneLine(j.Waiting)
	}
	state := fmt.Sprint(j.State, j.Attempt)
	if state == p.said && (j.Progress == nil || now.Sub(p.at) < every) {
		return
	}
	if j.Progress != nil {
		text = string(j.State) + " " + progressText(*j.Progress)
	}
	p.said, p.at = state, now
	p.c.Notef("%s %s\n", j.ID, text)
}

// clear removes the line, so that another can be printed in its place.
func (p *progress) clear() { p.bar.Clear() }

// cells is how many characters the bar has.
const cells = 24

// line returns the line for a terminal.
func (p *progress) line(j functions.Info) string {
	text := string(j.State)
	if q := j.Progress; q != nil && !j.Done() && q.Total > 0 {
		text += " " + line.Bar(q.Done, q.Total, cells)
	}
	if q := j.Progress; q != nil && !j.Done() {
		text += " " + progressText(*q)
	}
	if j.Attempt > 1 {
		text += fmt.Sprintf("  attempt %s", attempts(j))
	}
	if j.Waiting != "" {
		text += "  waits " + oneLine(j.Waiting)
	} else if !j.Started.IsZero() && !j.Done() {
		text += "  " + short(p.c.Now().Sub(j.Started))
	}
	return text
}

// progressText describes how far a job is.
func progressText(p functions.ProgressInfo) string {
	text := ""
	switch {
	case p.Total > 0:
		text = fmt.Sprintf("%d %%", p.Done*100/p.Total)
		if p.Message == "" {
			text += fmt.Sprintf("  %d of %d", p.Done, p.Total)
		}
	case p.Message == "":
		text = fmt.Sprintf("%d done", p.Done)
	}
	return strings.TrimSpace(text + "  " + oneLine(p.Message))
}
