package endtoend

import (
	"testing"

	"github.com/piecework/piecework/tests/servers"
)

// There is no Cosmos DB to be had here, so FerretDB is asked as if it were one, for RU: without retried writes and write
// concerns, which Cosmos DB does not take. Nor is there a Service Bus. JetStream stands in for it, which like it delivers
// at least once and keeps messages back by itself; of Service Bus, only the driver's own tests speak.
func TestCosmosDBWithJetStreamAndAzureBlob(t *testing.T) {
	n := servers.StartNATS(t)
	run(t, combination{
		store:  servers.MongoDB(t) + "/piecework?cosmos=ru",
		queues: "jetstream://" + n.Host() + "/piecework.{queue}?ack_wait=3s&delay=schedule", blobs: startAzurite(t),
		stopQueue: n.Stop, startQueue: startNATS(n),
	})
}

// startAzurite starts a server with a container, and returns the container's URL.
func startAzurite(t *testing.T) string {
	t.Helper()
	host := servers.Azurite(t)
	t.Setenv("AZURE_STORAGE_ACCOUNT", servers.AzuriteAccount)
	t.Setenv("AZURE_STORAGE_KEY", servers.AzuriteKey)
	servers.MakeContainer(t, host, "piecework")
	return "azblob://piecework?domain=" + host + "&protocol=http&localemu=true"
}
