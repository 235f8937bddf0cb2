package line

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestLineIsWrittenOver(t *testing.T) {
	var out bytes.Buffer
	l := New(&out)
	l.Clear() // nothing is there
	l.Show("first, and longer than the terminal", 8)
	l.Show("2nd", 8)
	l.Clear()
	l.Clear()
	if want := "\rfirst,…\x1b[K\r2nd\x1b[K\r\x1b[K"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
}

func TestBarHasAllItsCells(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		full        int
	}{
		{0, 100, 0}, {25, 100, 6}, {99, 100, 23}, {100, 100, 24}, {500, 100, 24}, {-5, 100, 0}, {7, 0, 0}, {7, -1, 0},
		{math.MaxInt64, math.MaxInt64, 24}, {math.MaxInt64 / 2, math.MaxInt64, 12},
	} {
		if got, want := Bar(c.done, c.total, 24), strings.Repeat("█", c.full)+strings.Repeat("░", 24-c.full); got != want {
			t.Errorf("%d of %d: %s, want %s", c.done, c.total, got, want)
		}
	}
}

func TestCutKeepsToTheWidth(t *testing.T) {
	for n := range 12 {
		if got := Cut("grüße, 世界!", n); Visible(got) > n {
			t.Errorf("Cut to %d = %q, want at most as many characters", n, got)
		}
	}
	if got := Cut("\x1b[31mred\x1b[0m", 3); Visible(got) != 3 {
		t.Errorf("%q, want 3 visible characters", got)
	}
}
