package servers

import (
	"testing"

	"cloud.google.com/go/pubsub/v2/pstest"
)

// PubSub starts Google's fake of Pub/Sub in this process and returns where it listens.
//
// It differs from the real service: it keeps everything in memory, and has no limits of size.
func PubSub(tb testing.TB) string {
	tb.Helper()
	s := pstest.NewServer()
	tb.Cleanup(func() { _ = s.Close() })
	return s.Addr
}
