package endtoend

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/piecework/piecework/tests/postgres"
	"github.com/piecework/piecework/tests/servers"
)

// The emulator of SQS forgets its queues when it is stopped, so they are made again.
func TestDynamoDBWithSQSAndS3(t *testing.T) {
	servers.FakeAWS(t)
	table := "dynamodb://piecework?region=us-east-1&endpoint=" + servers.DynamoDB(t)
	f := servers.StartFauxqs(t)
	makeQueues(t, f)
	run(t, combination{
		store: table, scan: table + "&allow_scans=true", blobs: startS3(t),
		queues: fmt.Sprintf("awssqs://%s/000000000000/piecework-{queue}?endpoint=%s&region=us-east-1&visibility=3s&wait=1s",
			f.QueueHost(), f.URL()),
		stopQueue: f.Stop, startQueue: func(t *testing.T) {
			t.Helper()
			if err := f.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			makeQueues(t, f)
		},
	})
}

func makeQueues(t *testing.T, f servers.Fauxqs) {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(f.URL()))
	if err != nil {
		t.Fatal(err)
	}
	client := sqs.NewFromConfig(cfg)
	for _, queue := range NewRegistry(Ledger{}).Queues() {
		if _, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("piecework-" + queue)}); err != nil {
			t.Fatal(err)
		}
	}
}

// startS3 starts a server with a bucket, and returns the bucket's URL.
func startS3(t *testing.T) string {
	t.Helper()
	servers.FakeAWS(t)
	endpoint, dir := servers.S3(t)
	if err := os.Mkdir(filepath.Join(dir, "piecework"), 0o755); err != nil {
		t.Fatal(err)
	}
	return "s3://piecework?region=us-east-1&endpoint=" + endpoint
}

func TestMongoDBWithRabbitMQAndFiles(t *testing.T) {
	r := servers.StartRabbit(t)
	run(t, combination{
		store: servers.MongoDB(t) + "/piecework", queues: r.URL + "?queue=piecework.{queue}",
		blobs:     "file://" + filepath.ToSlash(filepath.Join(t.TempDir(), "blobs")),
		stopQueue: r.Stop, startQueue: func(t *testing.T) {
			t.Helper()
			if err := r.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	})
}

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

// The fake of Pub/Sub forgets its topics and subscriptions when it is stopped, so they are made again.
func TestFirestoreWithPubSubAndGCS(t *testing.T) {
	t.Setenv("FIRESTORE_EMULATOR_HOST", servers.Firestore(t))
	f := servers.StartPubSub(t)
	t.Setenv("PUBSUB_EMULATOR_HOST", f.Host)
	makeTopics(t)
	run(t, combination{
		store: "firestore://piecework-test/jobs", queues: "gcppubsub://piecework-test/piecework-{queue}", blobs: startGCS(t),
		stopQueue: f.Stop, startQueue: func(t *testing.T) {
			t.Helper()
			f.Start()
			makeTopics(t)
		},
	})
}

func makeTopics(t *testing.T) {
	t.Helper()
	client, err := pubsub.NewClient(t.Context(), "piecework-test")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, queue := range NewRegistry(Ledger{}).Queues() {
		servers.MakePubSubQueue(t, client, queue)
	}
}

// startGCS starts a server with a bucket, and returns the bucket's URL.
func startGCS(t *testing.T) string {
	t.Helper()
	host := servers.GCS(t)
	t.Setenv("STORAGE_EMULATOR_HOST", host)
	servers.MakeBucket(t, host, "piecework")
	return "gs://piecework"
}

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
