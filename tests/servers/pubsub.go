package servers

import (
	"testing"

	"cloud.google.com/go/pubsub/v2/pstest"
)

// FakePubSub is Google's fake of Pub/Sub in this process.
//
// It differs from the real service: it keeps everything in memory, topics and subscriptions too, and has no limits of
// size.
type FakePubSub struct {
	Host string // and port

	server *pstest.Server
}

// PubSub starts a fake of Pub/Sub and returns where it listens.
func PubSub(tb testing.TB) string {
	tb.Helper()
	return StartPubSub(tb).Host
}

// StartPubSub starts a fake of Pub/Sub, which can be stopped and started again.
func StartPubSub(tb testing.TB) *FakePubSub {
	tb.Helper()
	f := &FakePubSub{Host: address(freePort(tb))}
	f.Start()
	tb.Cleanup(f.Stop)
	return f
}

// Start starts the fake, after Stop where it was before. It has forgotten everything.
func (f *FakePubSub) Start() { f.server = pstest.NewServerWithAddress(f.Host) }

// Stop cuts off all clients.
func (f *FakePubSub) Stop() { _ = f.server.Close() }
