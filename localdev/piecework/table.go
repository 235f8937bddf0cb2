package main

import (
	"strings"

	"github.com/piecework/piecework/localdev/piecework/internal/line"
)

// table is rows of cells. A column is as wide as its longest cell.
type table struct {
	head []string
	rows [][]string
}

func newTable(head ...string) *table { return &table{head: head} }

// add adds a row. Cells may have this program's colours.
func (t *table) add(cells ...string) {
	for i, cell := range cells {
		cells[i] = cellBreaks.Replace(plain(cell)) // before the widths are measured
	}
	t.rows = append(t.rows, cells)
}

var cellBreaks = strings.NewReplacer("\n", " ", "\t", " ")

// gap separates columns.
const gap = "  "

// print prints the table. On a terminal that is too narrow it cuts the columns between the first, which names the row, and
// the last to a quarter of the width, and the last to what is left.
func (t *table) print(c *console) {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], line.Visible(cell))
		}
	}
	room := c.Width()
	all := len(gap) * (len(widths) - 1)
	for _, w := range widths {
		all += w
	}
	if room > 0 && all > room {
		for i := 1; i < len(widths)-1; i++ {
			widths[i] = min(widths[i], max(room/4, line.Visible(t.head[i])))
		}
	}
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
			cell = line.Cut(cell, widths[i])
			b.WriteString(style(cell))
			b.WriteString(strings.Repeat(" ", max(widths[i]-line.Visible(cell), 0)) + gap)
			used += widths[i] + len(gap)
		}
		c.Printf("%s\n", strings.TrimRight(b.String(), " "))
	}
	show(t.head, c.dim)
	for _, row := range t.rows {
		show(row, func(s string) string { return s })
	}
}
