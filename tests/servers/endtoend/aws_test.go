package endtoend

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

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
