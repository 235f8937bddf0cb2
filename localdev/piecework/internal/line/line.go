// Package line writes one line of a terminal: text that is cut to the width, bars of progress, and a line that is
// written over and over in place.
package line

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Line is a line that shows how things stand, written over and over. Clear it before anything else is printed.
type Line struct {
	out   io.Writer
	drawn bool
}

// New returns a line of the terminal behind out. Nothing is shown yet.
func New(out io.Writer) *Line { return &Line{out: out} }

// Show shows a text in place of what was shown, cut so that it does not wrap in a terminal of that width. Who closed
// the terminal does not want to know more, and there is nowhere else to tell it.
func (l *Line) Show(text string, width int) {
	_, _ = fmt.Fprintf(l.out, "\r%s\x1b[K", Cut(text, width-1))
	l.drawn = true
}

// Clear takes the line away, for another to be printed in its place.
func (l *Line) Clear() {
	if l.drawn {
		_, _ = fmt.Fprint(l.out, "\r\x1b[K")
		l.drawn = false
	}
}

// Bar is a bar of so many cells that shows done of total, whatever a handler reports as these.
func Bar(done, total int64, cells int) string {
	full := 0
	if total > 0 {
		full = int(float64(min(max(done, 0), total)) * float64(cells) / float64(total))
	}
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
}

// Visible is how many characters of a text are seen: all but colours.
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

// Cut shortens a text to n characters, with a sign that there was more. One with colours stays as it is.
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
