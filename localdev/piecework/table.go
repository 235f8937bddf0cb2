package main

import (
	"strings"

	"github.com/piecework/piecework/localdev/piecework/internal/line"
)

// table is lines of cells, printed in columns that are as wide as their longest cell.
type table struct {
	head []string
	rows [][]string
}

func newTable(head ...string) *table { return &table{head: head} }

// add adds a line. Cells may have colours of this program's.
func (t *table) add(cells ...string) {
	for i, cell := range cells {
		cells[i] = cellBreaks.Replace(plain(cell)) // now, so that the widths are those of what is printed
	}
	t.rows = append(t.rows, cells)
}

var cellBreaks = strings.NewReplacer("\n", " ", "\t", " ")

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
