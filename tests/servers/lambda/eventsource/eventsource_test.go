package eventsource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/piecework/piecework/tests/servers/lambda/eventsource"
	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

// hidden is for how many seconds a message that was received stays away. A busy machine must have deleted it by then, or
// it comes again.
const hidden = "4"

// function is a function of this process.
type function func(ctx context.Context, e events.SQSEvent) (string, error)

// Invoke decodes the event with AWS's own types.
func (f function) Invoke(ctx context.Context, payload []byte) (runtimeapi.Result, error) {
	var e events.SQSEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return runtimeapi.Result{}, err
	}
	answer, err := f(ctx, e)
	switch {
	case errors.Is(err, runtimeapi.ErrThrottled):
		return runtimeapi.Result{}, err
	case err != nil:
		return runtimeapi.Result{FunctionError: "Unhandled", Payload: []byte(err.Error())}, nil //nolint:nilerr // the service answers
	}
	return runtimeapi.Result{Payload: []byte(answer)}, nil
}

// run maps a queue to a function until the test, or the function that is returned, ends it.
func (q *queue) run(t *testing.T, cfg eventsource.Config) (m *eventsource.Mapping, stop func()) {
	t.Helper()
	cfg.Queue, cfg.QueueURL, cfg.Wait = q.client, q.url, time.Second
	m, err := eventsource.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return m, stop
}

func TestEvent(t *testing.T) {
	q := newQueue(t, "events", nil)
	_, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: &q.url, MessageBody: aws.String("hello"), MessageAttributes: map[string]types.MessageAttributeValue{
			"k": {DataType: aws.String("String"), StringValue: aws.String("v")},
			"b": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan events.SQSEvent, 1)
	_, stop := q.run(t, eventsource.Config{Function: function(func(_ context.Context, e events.SQSEvent) (string, error) {
		got <- e
		return `{}`, nil
	})})
	r := (<-got).Records[0]
	stop()
	if r.MessageId == "" || r.ReceiptHandle == "" || r.Body != "hello" || r.Md5OfBody != "5d41402abc4b2a76b9719d911017c592" ||
		r.EventSource != "aws:sqs" || r.EventSourceARN != "arn:aws:sqs:us-east-1:000000000000:events" || r.AWSRegion != "us-east-1" {
		t.Errorf("record %+v, want id, receipt handle, body, its MD5, and source, ARN and region of the queue", r)
	}
	if r.Attributes["ApproximateReceiveCount"] != "1" || r.Attributes["SentTimestamp"] == "" {
		t.Errorf("attributes %v", r.Attributes)
	}
	if k, b := r.MessageAttributes["k"], r.MessageAttributes["b"]; *k.StringValue != "v" || k.DataType != "String" || string(b.BinaryValue) != "\x00\xff" {
		t.Errorf("message attributes %+v", r.MessageAttributes)
	}
	if n := q.len(t); n != 0 {
		t.Errorf("%d messages are left, want none", n)
	}
}

// Reported messages come again after the visibility timeout, and end in the dead-letter queue; the others are deleted.
func TestPartialFailureAndRedrive(t *testing.T) {
	dead := newQueue(t, "dead", nil)
	q := dead.sibling(t, "work", map[string]string{
		"VisibilityTimeout": hidden,
		"RedrivePolicy":     `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"3"}`,
	})
	for i := range 10 {
		q.send(t, strconv.Itoa(i))
	}
	seen := counts{}
	m, stop := q.run(t, eventsource.Config{ReportBatchItemFailures: true, Function: function(func(_ context.Context, e events.SQSEvent) (string, error) {
		var bad []string
		for _, r := range e.Records {
			seen.add(r.Body + "/" + r.Attributes["ApproximateReceiveCount"])
			if r.Body == "3" || r.Body == "7" {
				bad = append(bad, fmt.Sprintf(`{"itemIdentifier":%q}`, r.MessageId))
			}
		}
		return `{"batchItemFailures":[` + strings.Join(bad, ",") + `]}`, nil
	})})
	until(t, func() bool { return dead.len(t) == 2 })
	stop()
	want := counts{}
	for i := range 10 {
		want.add(strconv.Itoa(i) + "/1")
	}
	for _, again := range []string{"3/2", "3/3", "7/2", "7/3"} {
		want.add(again)
	}
	if !maps.Equal(seen.by, want.by) {
		t.Errorf("seen %v, want %v", seen.by, want.by)
	}
	if s := m.Stats(); s.Deleted != 8 || s.Reported != 6 || s.Failed != 0 || q.len(t) != 0 {
		t.Errorf("m.Stats: got %+v, want s.Deleted == 8 && s.Reported == 6 && s.Failed == 0 && q.len(t) == 0", s)
	}
}

// An error, and an answer that cannot be read, are the failure of all.
func TestWholeBatchFails(t *testing.T) {
	for name, answer := range map[string]func() (string, error){
		"error":   func() (string, error) { return "", errors.New("no") },
		"unknown": func() (string, error) { return `{"batchItemFailures":[{"itemIdentifier":"who"}]}`, nil },
	} {
		q := newQueue(t, "q-"+name, map[string]string{"VisibilityTimeout": hidden})
		q.send(t, "a")
		q.send(t, "b")
		failing, seen := true, counts{}
		m, stop := q.run(t, eventsource.Config{ReportBatchItemFailures: true, MaximumConcurrency: 2, Function: function(func(_ context.Context, e events.SQSEvent) (string, error) {
			for _, r := range e.Records {
				seen.add(r.Body)
			}
			seen.mu.Lock()
			defer seen.mu.Unlock()
			if failing {
				failing = seen.by["a"] < 2 || seen.by["b"] < 2
				return answer()
			}
			return `{}`, nil
		})})
		until(t, func() bool { return m.Stats().Deleted == 2 })
		stop()
		if s := m.Stats(); s.Failed < 2 || (s.Malformed > 0) != (name == "unknown") {
			t.Errorf(`m.Stats: got %s: %+v, want s.Failed >= 2 && (s.Malformed > 0) == (name == "unknown")`, name, s)
		}
	}
}

// Without ReportBatchItemFailures an answer says nothing.
func TestReportsNeedToBeAskedFor(t *testing.T) {
	q := newQueue(t, "quiet", nil)
	q.send(t, "a")
	m, stop := q.run(t, eventsource.Config{Function: function(func(_ context.Context, e events.SQSEvent) (string, error) {
		return fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, e.Records[0].MessageId), nil
	})})
	until(t, func() bool { return m.Stats().Deleted == 1 })
	stop()
}

func TestBatchesAndConcurrency(t *testing.T) {
	q := newQueue(t, "many", nil)
	for i := range 60 {
		q.send(t, strconv.Itoa(i))
	}
	release := make(chan struct{})
	m, stop := q.run(t, eventsource.Config{BatchSize: 4, MaximumConcurrency: 3, Function: function(func(context.Context, events.SQSEvent) (string, error) {
		<-release
		return ``, nil
	})})
	until(t, func() bool { return m.Stats().MostInvoked == 3 })
	if s := m.Stats(); s.Received != 12 {
		t.Errorf("%d messages were received for three calls, want 12", s.Received)
	}
	close(release)
	until(t, func() bool { return m.Stats().Deleted == 60 })
	stop()
	if s := m.Stats(); s.MostInvoked != 3 || s.Largest != 4 || s.Batches != 15 {
		t.Errorf("m.Stats: got %+v, want s.MostInvoked == 3 && s.Largest == 4 && s.Batches == 15", s)
	}
}

// A window gathers more messages than one poll gives.
func TestWindow(t *testing.T) {
	q := newQueue(t, "window", nil)
	m, stop := q.run(t, eventsource.Config{BatchSize: 25, Window: 3 * time.Second, MaximumConcurrency: 2, Function: function(func(context.Context, events.SQSEvent) (string, error) {
		return ``, nil
	})})
	for i := range 50 {
		q.send(t, strconv.Itoa(i))
	}
	until(t, func() bool { return m.Stats().Deleted == 50 })
	stop()
	if s := m.Stats(); s.Largest <= 10 || s.Largest > 25 {
		t.Errorf("%+v, want batches of 11 to 25", s)
	}
}

// A throttled batch is offered again while it is hidden.
func TestThrottling(t *testing.T) {
	q := newQueue(t, "busy", nil)
	q.send(t, "a")
	calls := 0
	m, stop := q.run(t, eventsource.Config{Function: function(func(_ context.Context, e events.SQSEvent) (string, error) {
		if calls++; calls < 3 {
			return "", runtimeapi.ErrThrottled
		}
		return ``, nil
	})})
	until(t, func() bool { return m.Stats().Deleted == 1 })
	stop()
	if s := m.Stats(); s.Throttled != 2 || s.Received != 1 || s.Batches != 1 {
		t.Errorf("m.Stats: got %+v, want s.Throttled == 2 && s.Received == 1 && s.Batches == 1", s)
	}
}

// The messages of a group come one after the other, also when one of them fails.
func TestFIFO(t *testing.T) {
	q := newQueue(t, "line.fifo", map[string]string{"FifoQueue": "true", "VisibilityTimeout": hidden})
	for i := range 12 {
		q.sendTo(t, "group-"+strconv.Itoa(i%3), strconv.Itoa(i))
	}
	var mu sync.Mutex
	failed, order := false, map[string][]string{}
	m, stop := q.run(t, eventsource.Config{ReportBatchItemFailures: true, Function: function(func(_ context.Context, e events.SQSEvent) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		for i, r := range e.Records {
			if r.Body == "4" && !failed {
				failed = true // this one and all after it
				var ids []string
				for _, r := range e.Records[i:] {
					ids = append(ids, fmt.Sprintf(`{"itemIdentifier":%q}`, r.MessageId))
				}
				return `{"batchItemFailures":[` + strings.Join(ids, ",") + `]}`, nil
			}
			group := r.Attributes["MessageGroupId"]
			order[group] = append(order[group], r.Body)
		}
		return `{}`, nil
	})})
	until(t, func() bool { return m.Stats().Deleted == 12 })
	stop()
	for i := range 3 {
		want := []string{strconv.Itoa(i), strconv.Itoa(i + 3), strconv.Itoa(i + 6), strconv.Itoa(i + 9)}
		if got := order["group-"+strconv.Itoa(i)]; !slices.Equal(got, want) {
			t.Errorf("group %d came as %v, want %v", i, got, want)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []eventsource.Config{
		{QueueURL: "q", BatchSize: 11}, {QueueURL: "q", BatchSize: -1}, {QueueURL: "q", BatchSize: 10_001, Window: time.Second},
		{QueueURL: "q.fifo", Window: time.Second}, {QueueURL: "q", Window: time.Hour}, {QueueURL: "q", MaximumConcurrency: 1},
	} {
		if _, err := eventsource.New(t.Context(), cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}
