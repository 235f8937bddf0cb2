package printed_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/piecework/piecework/tests/printed"
)

func TestTextIsKeptWholeWhoeverWrites(t *testing.T) {
	var text printed.Text
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 100 {
				fmt.Fprintf(&text, "writer=%d line=%d\n", i, j)
				_ = text.String()
			}
		})
	}
	all.Wait()
	for i := range 8 {
		if !text.HasLine(fmt.Sprintf("writer=%d ", i), "line=99") {
			t.Errorf("the last line of writer %d is missing", i)
		}
	}
	for _, parts := range [][]string{{"writer=1 ", "writer=2 "}, {"writer=1", "line=100"}} {
		if text.HasLine(parts...) {
			t.Errorf("no line has all of %q", parts)
		}
	}
}
