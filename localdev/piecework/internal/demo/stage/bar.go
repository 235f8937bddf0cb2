package stage

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/piecework/piecework/functions"
)

// bar shows how far a job is: in one line that it writes over and over on a terminal, in a line for each tenth
// elsewhere.
type bar struct {
	out   io.Writer
	width int  // of the terminal, 0: none
	quiet bool // shows nothing
	drawn bool
	tenth int64
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
		full := int(done * cells / total)
		line := fmt.Sprintf("  %s%s %3d %%  %s of %s rows  %s", strings.Repeat("█", full), strings.Repeat("░", cells-full),
			done*100/total, thousands(done), thousands(total), text)
		_, _ = fmt.Fprintf(b.out, "\r%s\x1b[K", clip(line, b.width-1))
		b.drawn = true
	case done*10/total > b.tenth:
		b.tenth = done * 10 / total
		_, _ = fmt.Fprintf(b.out, "  %3d %%  %s of %s rows  %s\n", done*100/total, thousands(done), thousands(total), text)
	}
}

// clear takes the line away, for another to be printed in its place.
func (b *bar) clear() {
	if b.drawn {
		_, _ = fmt.Fprint(b.out, "\r\x1b[K")
		b.drawn = false
	}
}

// clip cuts a line to at most n characters.
func clip(line string, n int) string {
	if n <= 0 || utf8.RuneCountInString(line) <= n {
		return line
	}
	return string([]rune(line)[:n])
}

// thousands writes a number with commas.
func thousands[N int | int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
