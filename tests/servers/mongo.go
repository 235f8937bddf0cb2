package servers

import (
	"testing"
)

// MongoDB starts FerretDB over SQLite, which speaks MongoDB's protocol, and returns its URL.
//
// It differs from the real server: it compares and sets in two steps, for which the program in tools/ferretdb passes
// one command at a time; it knows no transactions, and no partial or expiring indexes.
func MongoDB(tb testing.TB) string {
	tb.Helper()
	port := freePort(tb)
	run(tb, &Process{
		name: "FerretDB", ready: listens(address(port)),
		args: []string{tool(tb, "ferretdb", "."), "-listen", address(port), "-dir", tb.TempDir()},
	})
	return "mongodb://" + address(port)
}
