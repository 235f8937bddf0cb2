package main

import (
	"strings"
	"unicode"

	"github.com/piecework/piecework/localdev/piecework/internal/line"
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
			widths[i] = max(widths[i], line.Visible(cell))
		}
	}
	room := c.Width()
	show := func(row []string, style func(string) string) {
		var b strings.Builder
		used := 0
		for i, cell := range row {
			if i == len(row)-1 {
				if room > 0 {
					cell = line.Cut(cell, room-used)
				}
				b.WriteString(style(cell))
				break
			}
			b.WriteString(style(cell))
			b.WriteString(strings.Repeat(" ", widths[i]-line.Visible(cell)) + gap)
			used += widths[i] + len(gap)
		}
		c.Printf("%s\n", strings.TrimRight(b.String(), " "))
	}
	show(t.head, c.dim)
	for _, row := range t.rows {
		show(row, func(s string) string { return s })
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
