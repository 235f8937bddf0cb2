// Package line writes one line of a terminal: text cut to the width, progress bars, and a line that
// is rewritten in place.
package line

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Line is a status line that is rewritten in place. Clear it before printing anything else.
type Line struct {
	out   io.Writer
	drawn bool
}

// New returns a line of the terminal behind out. Nothing is shown yet.
func New(out io.Writer) *Line { return &Line{out: out} }

// Show replaces the line with a text, cut so that it does not wrap in a terminal of that width. It
// ignores errors: there is nowhere else to report them.
func (l *Line) Show(text string, width int) {
	_, _ = fmt.Fprintf(l.out, "\r%s\x1b[K", Cut(text, width-1))
	l.drawn = true
}

// Clear removes the line, so that another can be printed in its place.
func (l *Line) Clear() {
	if l.drawn {
		_, _ = fmt.Fprint(l.out, "\r\x1b[K")
		l.drawn = false
	}
}

// Bar returns a bar of so many cells that shows done of total. Any values are allowed.
func Bar(done, total int64, cells int) string {
	full := 0
	if total > 0 {
		full = int(float64(min(max(done, 0), total)) * float64(cells) / float64(total))
	}
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
}

// Visible counts the characters of a text without its colours.
func Visible(s string) int {
	n, escape := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			n++
		}
	}
	return n
}

// Cut shortens a text to n characters, the last of them an ellipsis. It leaves a text with colours
// as it is.
func Cut(s string, n int) string {
	if n <= 0 {
		return ""
	}
	if Visible(s) <= n || strings.ContainsRune(s, '\x1b') {
		return s
	}
	for i := range s {
		if n--; n == 0 {
			return s[:i] + "…"
		}
	}
	return s[:len(s)-utf8.RuneLen('…')]
}
