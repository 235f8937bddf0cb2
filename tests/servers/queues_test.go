package servers

import (
	"fmt"
	"testing"
)

// lanes returns a maker of lanes, each with a name of its own.
func lanes(create func(t *testing.T, lane string)) func(t *testing.T) string {
	n := 0
	return func(t *testing.T) string {
		t.Helper()
		n++
		lane := fmt.Sprint("lane-", n)
		if create != nil {
			create(t, lane)
		}
		return lane
	}
}
