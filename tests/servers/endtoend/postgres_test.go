package endtoend

import (
	"testing"

	"github.com/piecework/piecework/tests/postgres"
	"github.com/piecework/piecework/tests/servers"
)

func TestPostgreSQLWithJetStreamAndS3(t *testing.T) {
	n := servers.StartNATS(t)
	run(t, combination{
		store: postgres.Start(t), queues: "jetstream://" + n.Host() + "/piecework.{queue}?ack_wait=3s", blobs: startS3(t),
		stopQueue: n.Stop, startQueue: startNATS(n),
	})
}

func startNATS(n *servers.NATS) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
}
