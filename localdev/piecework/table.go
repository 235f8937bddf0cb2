package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// table is lines of cells, printed in columns that are as wide as their longest cell.
type table struct {
	head []string
	rows [][]string
}

func newTable(head ...string) *table { return &table{head: head} }

// add adds a line.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// gap separates columns.
const gap = "  "

// print prints the table, the last column cut so that a line fits a terminal.
func (t *table) print(c *console) {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], visible(cell))
		}
	}
	room := c.Width()
	line := func(row []string, style func(string) string) {
		var b strings.Builder
		used := 0
		for i, cell := range row {
			if i == len(row)-1 {
				if room > 0 {
					cell = cut(cell, room-used)
				}
				b.WriteString(style(cell))
				break
			}
			b.WriteString(style(cell))
			b.WriteString(strings.Repeat(" ", widths[i]-visible(cell)) + gap)
			used += widths[i] + len(gap)
		}
		c.Printf("%s\n", strings.TrimRight(b.String(), " "))
	}
	line(t.head, c.dim)
	for _, row := range t.rows {
		line(row, func(s string) string { return s })
	}
}

// oneLine makes a text fit a cell: without line breaks and control characters, which a terminal would obey.
func oneLine(s string) string {
	return strings.Join(strings.Fields(clean(s)), " ")
}

// clean takes away what a terminal would obey: text in records may come from anybody.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// visible is how many characters of a text are seen: all but colours.
func visible(s string) int {
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

// cut shortens a text to n characters, with a sign that there was more.
func cut(s string, n int) string {
	if n <= 0 {
		return ""
	}
	if visible(s) <= n || strings.ContainsRune(s, '\x1b') {
		return s
	}
	for i := range s {
		if n--; n == 0 {
			return s[:i] + "…"
		}
	}
	return s[:len(s)-utf8.RuneLen('…')]
}
