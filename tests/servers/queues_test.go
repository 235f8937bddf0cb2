package servers

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/tests/conformance"
)

// connect returns how a process connects to the queues of a URL.
func connect(set *drivers.Set, rawURL string) func(t *testing.T) conformance.Connection {
	set.LogTo(slog.New(slog.DiscardHandler)) // that a broker was away is what some of the tests are about
	return func(t *testing.T) conformance.Connection {
		t.Helper()
		q, err := set.OpenQueue(t.Context(), rawURL)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
}

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
