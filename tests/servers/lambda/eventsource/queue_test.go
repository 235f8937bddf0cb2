package eventsource_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/piecework/piecework/tests/servers"
)

// queue is a queue of an emulator.
type queue struct {
	client *sqs.Client
	url    string
	sent   int
}

// newQueue starts an emulator and makes a queue in it.
func newQueue(t *testing.T, name string, attributes map[string]string) *queue {
	t.Helper()
	f := servers.StartFauxqs(t)
	q := &queue{client: sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(f.URL()), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})}
	return q.sibling(t, name, attributes)
}

// sibling makes another queue in the same emulator.
func (q *queue) sibling(t *testing.T, name string, attributes map[string]string) *queue {
	t.Helper()
	out, err := q.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return &queue{client: q.client, url: *out.QueueUrl}
}

func (q *queue) send(t *testing.T, body string) {
	t.Helper()
	if _, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
}

// sendTo sends to a group of a FIFO queue.
func (q *queue) sendTo(t *testing.T, group, body string) {
	t.Helper()
	q.sent++
	_, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: &q.url, MessageBody: &body, MessageGroupId: &group, MessageDeduplicationId: aws.String(strconv.Itoa(q.sent)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// len counts the messages, hidden ones included.
func (q *queue) len(t *testing.T) int {
	t.Helper()
	out, err := q.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"} {
		of, err := strconv.Atoi(out.Attributes[name])
		if err != nil {
			t.Fatal(err)
		}
		n += of
	}
	return n
}

// counts tells how often words came.
type counts struct {
	mu sync.Mutex
	by map[string]int
}

func (c *counts) add(word string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]int{}
	}
	c.by[word]++
}

// until waits for a condition.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("not so after a minute")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
