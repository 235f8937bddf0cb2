package servers

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/piecework/piecework/infra/drivers"
	awsdrivers "github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/tests/conformance"
)

// queues makes queues and topics on an emulator.
type queues struct {
	sqs  *sqs.Client
	sns  *sns.Client
	made []string
}

func newQueues(t *testing.T, f Fauxqs) *queues {
	t.Helper()
	FakeAWS(t)
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithBaseEndpoint(f.URL()))
	if err != nil {
		t.Fatal(err)
	}
	return &queues{sqs: sqs.NewFromConfig(cfg), sns: sns.NewFromConfig(cfg)}
}

func (q *queues) queue(t *testing.T, queue string) {
	t.Helper()
	q.made = append(q.made, queue)
	if _, err := q.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("piecework-" + queue)}); err != nil {
		t.Fatal(err)
	}
}

// subscribed makes a topic with a queue behind it.
func (q *queues) subscribed(t *testing.T, queue string) {
	t.Helper()
	q.queue(t, queue)
	topic, err := q.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("piecework-" + queue)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = q.sns.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String("arn:aws:sqs:us-east-1:000000000000:piecework-" + queue),
		Attributes: map[string]string{"RawMessageDelivery": "true"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSQS(t *testing.T) {
	f := StartFauxqs(t)
	q := newQueues(t, f)
	conformance.Queue(t, conformance.QueueHarness{
		Queue: queueNames(q.queue),
		Connect: conformance.ConnectTo(drivers.New(awsdrivers.Register), fmt.Sprintf(
			"awssqs://%s/000000000000/piecework-{queue}?endpoint=%s&region=us-east-1&visibility=3s&wait=1s", f.QueueHost(), f.URL())),
		Redelivery: 3 * time.Second, MaxDelay: awsdrivers.MaxDelay, MaxBody: 900_000, TooLarge: 1<<20 + 1,
		Forgets: true, Restart: func(t *testing.T) {
			f.Stop()
			if err := f.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, queue := range q.made {
				q.queue(t, queue)
			}
		},
	})
}

func TestSNS(t *testing.T) {
	f := StartFauxqs(t)
	q := newQueues(t, f)
	conformance.Queue(t, conformance.QueueHarness{
		Queue: queueNames(q.subscribed),
		Connect: conformance.ConnectTo(drivers.New(awsdrivers.Register), fmt.Sprintf(
			"awssns:///arn:aws:sns:us-east-1:000000000000:piecework-{queue}?queue=http://%s/000000000000/piecework-{queue}&endpoint=%s&visibility=3s&wait=1s",
			f.QueueHost(), f.URL())),
		Redelivery: 3 * time.Second, TooLarge: 256<<10 + 1,
	})
}
