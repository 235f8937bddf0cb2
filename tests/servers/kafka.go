package servers

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Kafka starts a fake broker in this process, with these topics of one partition, and returns where it listens.
//
// It differs from a real broker: it keeps everything in memory, on one node.
func Kafka(tb testing.TB, topics ...string) string {
	tb.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(freePort(tb)), kfake.SeedTopics(1, topics...))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}
