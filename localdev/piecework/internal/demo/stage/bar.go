package stage

import (
	"fmt"
	"io"
	"strconv"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/line"
)

// bar shows how far a job is: in one line that it writes over and over on a terminal, in a line for each tenth
// elsewhere.
type bar struct {
	out   io.Writer
	line  *line.Line
	width int  // of the terminal, 0: none
	quiet bool // shows nothing
	tenth int64
}

func newBar(out io.Writer, width int, quiet bool) *bar {
	return &bar{out: out, line: line.New(out), width: width, quiet: quiet}
}

// cells is how many characters the bar itself has.
const cells = 30

// show shows how far the job is.
func (b *bar) show(i functions.Info) {
	p := i.Progress
	if p == nil {
		return
	}
	text := p.Message
	if i.Waiting != "" {
		text = "waiting " + i.Waiting
	}
	b.draw(p.Done, p.Total, text)
}

// draw shows done of total.
func (b *bar) draw(done, total int64, text string) {
	switch {
	case b.quiet || total <= 0:
	case b.width > 0:
		b.line.Show(fmt.Sprintf("  %s %3d %%  %s of %s rows  %s", line.Bar(done, total, cells),
			done*100/total, thousands(done), thousands(total), text), b.width)
	case done*10/total > b.tenth:
		b.tenth = done * 10 / total
		_, _ = fmt.Fprintf(b.out, "  %3d %%  %s of %s rows  %s\n", done*100/total, thousands(done), thousands(total), text)
	}
}

// clear takes the line away, for another to be printed in its place.
func (b *bar) clear() { b.line.Clear() }

// thousands writes a number with commas.
func thousands[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
