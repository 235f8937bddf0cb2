package servers

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// NATS is a NATS server with JetStream in this process. It is the real one.
type NATS struct {
	opts   server.Options
	server *server.Server
}

// StartNATS starts a server.
func StartNATS(tb testing.TB) *NATS {
	tb.Helper()
	n := &NATS{opts: server.Options{
		Host: "127.0.0.1", Port: freePort(tb), JetStream: true, StoreDir: tb.TempDir(), NoSigs: true, NoLog: true,
	}}
	if err := n.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(n.Stop)
	return n
}

// Host is where it listens.
func (n *NATS) Host() string { return address(n.opts.Port) }

// Start starts the server, after Stop.
func (n *NATS) Start() error {
	opts := n.opts // the server changes them
	var err error
	if n.server, err = server.NewServer(&opts); err != nil {
		return err
	}
	n.server.Start()
	if !n.server.ReadyForConnections(time.Minute) {
		return errors.New("the NATS server is not ready after a minute")
	}
	return nil
}

// Stop stops the server. What JetStream has stays in its directory.
func (n *NATS) Stop() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}

// Restart stops the server and starts it again.
func (n *NATS) Restart(tb testing.TB) {
	tb.Helper()
	n.Stop()
	if err := n.Start(); err != nil {
		tb.Fatal(err)
	}
}
