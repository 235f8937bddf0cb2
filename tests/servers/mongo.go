package servers

import (
	"testing"

	"github.com/piecework/piecework/tests/postgres"
)

// MongoDB starts FerretDB over PostgreSQL, which speaks MongoDB's protocol, and returns its URL.
//
// It differs from the real server: it compares and sets in two steps, and reads every document for almost any question;
// the program in tools/ferretdb works around both. It knows no transactions, and no partial or expiring indexes.
func MongoDB(tb testing.TB) string {
	tb.Helper()
	port := freePort(tb)
	run(tb, &Process{
		name: "FerretDB", ready: listens(address(port)),
		args: []string{
			tool(tb, "ferretdb", "."), "-listen", address(port), "-postgres", postgres.Start(tb), "-dir", tb.TempDir(),
		},
	})
	return "mongodb://" + address(port)
}
