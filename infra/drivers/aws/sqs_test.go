package aws_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/pubsubq"
)

// wait waits until an operation was asked for the n-th time.
func (s *stub) wait(t *testing.T, op string, n int) []object {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		if got := s.requests(op); len(got) >= n {
			return got
		}
		select {
		case <-s.told:
		case <-ctx.Done():
			t.Fatalf("%s was asked %d times, want %d", op, len(s.requests(op)), n)
		}
	}
}

// A connection that has gone dead does not make a worker deaf: the request that was under way is
// given up, and made again.
func TestAReceiveThatIsNotAnsweredIsMadeAgain(t *testing.T) {
	end := make(chan struct{})
	s := newStub(t, map[string]func(int, object) (int, object){
		"ReceiveMessage": func(n int, _ object) (int, object) {
			if n == 0 {
				<-end
			}
			return http.StatusOK, object{"Messages": []object{{"MessageId": "m", "ReceiptHandle": "h", "Body": `{"id":"job-1"}`}}}
		},
		"DeleteMessageBatch": ok(object{}), "ChangeMessageVisibilityBatch": ok(object{}),
	})
	defer close(end)
	q, err := drivers.New(aws.Register).OpenQueue(t.Context(), "awssqs://"+s.host()+"/1/jobs-{queue}?region=x&wait=0s&endpoint="+s.url)
	if err != nil {
		t.Fatal(err)
	}
	r := q.Receiver("default")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ds, err := r.Receive(ctx, 1)
	if err != nil {
		t.Fatalf("nothing came: %v", err)
	}
	ds[0].Ack()
	if err := errors.Join(r.Shutdown(ctx), q.Close(ctx)); err != nil {
		t.Error(err)
	}
}

func TestMessagesAreSentRawAndWithADelay(t *testing.T) {
	s := newStub(t, map[string]func(int, object) (int, object){"SendMessageBatch": ok(object{})})
	q, err := drivers.New(aws.Register).OpenQueue(t.Context(), "awssqs://"+s.host()+"/1/jobs-{queue}?region=x&endpoint="+s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close(context.WithoutCancel(t.Context()))
	if got := q.Sender().MaxDelay("default"); got != 15*time.Minute {
		t.Errorf("longest delay %v", got)
	}
	if err := q.Sender().Send(t.Context(), "default", 1500*time.Millisecond, pubsubq.Message{ID: "job-1"}); err != nil {
		t.Fatal(err)
	}
	req := s.requests("SendMessageBatch")[0]
	entry := req["Entries"].([]any)[0].(object)
	if req["QueueUrl"] != s.url+"/1/jobs-default" || entry["DelaySeconds"] != float64(2) || entry["MessageBody"] != `{"id":"job-1"}` {
		t.Errorf("sent %v", req)
	}
	if err := q.Sender().Send(t.Context(), "default", time.Hour, pubsubq.Message{ID: "job-1"}); !errors.Is(err, pubsubq.ErrDelay) {
		t.Errorf("an hour's delay: %v", err)
	}
	if err := q.Sender().Send(t.Context(), "a.b", 0, pubsubq.Message{ID: "job-1"}); err == nil || !strings.Contains(err.Error(), `"a-b"`) {
		t.Errorf("a dot: %v", err)
	}
}

func TestMessagesThatAreHeldStayHidden(t *testing.T) {
	s := newStub(t, map[string]func(int, object) (int, object){
		"ReceiveMessage": func(n int, _ object) (int, object) {
			if n > 0 {
				return http.StatusOK, object{}
			}
			return http.StatusOK, object{"Messages": []object{{"Body": `{"id":"job-1"}`, "MessageId": "m", "ReceiptHandle": "h1", "Attributes": object{"ApproximateReceiveCount": "3"}}}}
		},
		"ChangeMessageVisibilityBatch": ok(object{}),
		"DeleteMessageBatch":           ok(object{}),
	})
	q, err := drivers.New(aws.Register).OpenQueue(t.Context(),
		"awssqs://"+s.host()+"/1/jobs-{queue}?visibility=2s&wait=1s&region=x&endpoint="+s.url)
	if err != nil {
		t.Fatal(err)
	}
	r := q.Receiver("default")
	ds, err := r.Receive(t.Context(), 5)
	if err != nil || len(ds) != 1 {
		t.Fatal(ds, err)
	}
	if names := s.requests("ReceiveMessage")[0]["MessageSystemAttributeNames"]; fmt.Sprint(names) != "[ApproximateReceiveCount]" {
		t.Errorf("asked for %v", names)
	}
	if want := (pubsubq.Origin{ID: "m", Deliveries: 3}); ds[0].Origin != want {
		t.Errorf("got %+v, want ds[0].Origin == want", ds[0].Origin)
	}
	got := s.requests("ReceiveMessage")[0]
	if got["VisibilityTimeout"] != float64(2) || got["MaxNumberOfMessages"] != float64(1) || got["WaitTimeSeconds"] != float64(1) {
		t.Errorf("received with %v", got)
	}
	extended := s.wait(t, "ChangeMessageVisibilityBatch", 2)[0]
	entry := extended["Entries"].([]any)[0].(object)
	if entry["ReceiptHandle"] != "h1" || entry["VisibilityTimeout"] != float64(2) {
		t.Errorf("extended %v", extended)
	}
	ds[0].Ack()
	s.wait(t, "DeleteMessageBatch", 1)
	before := len(s.requests("ChangeMessageVisibilityBatch"))
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // past two extensions
	defer cancel()
	if _, err := r.Receive(ctx, 5); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("receive from an empty queue: %v", err)
	}
	if after := len(s.requests("ChangeMessageVisibilityBatch")); after > before+1 {
		t.Errorf("an acked message was extended %d times", after-before)
	}
	if err := errors.Join(r.Shutdown(t.Context()), q.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestQueueURLs(t *testing.T) {
	newStub(t, nil)
	set := drivers.New(aws.Register)
	const arn = "awssns:///arn:aws:sns:eu-central-1:1:jobs-{queue}"
	for _, good := range []string{
		"awssqs://sqs.eu-central-1.amazonaws.com/1/jobs-{queue}", arn, arn + "?queue=https://sqs.x/1/jobs-{queue}&raw=false&prefetch=10",
	} {
		q, err := set.OpenQueue(t.Context(), good)
		if err != nil {
			t.Errorf("got %s: %v, want no error", good, err)
			continue
		}
		if err := q.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for raw, want := range map[string]string{
		"awssqs://sqs.eu-central-1.amazonaws.com/1/jobs":              "{queue}",
		"awssqs://sqs.eu-central-1.amazonaws.com/1/jobs-{queue}.fifo": "FIFO",
		"awssqs:///jobs-{queue}":                                      "no host",
		"awssqs://h/1/{queue}":                                        "no region",
		"awssqs://h/1/{queue}?region=x&prefech=2":                     `did you mean "prefetch"?`,
		"awssqs://h/1/{queue}?region=x&prefetch=11":                   "from 1 to 10",
		"awssns://jobs-{queue}":                                       "ARN",
		arn + "?queue=jobs-{queue}":                                   "URL of the subscribed",
		arn + "?queue=https://sqs.x/1/jobs":                           "{queue}",
	} {
		if _, err := set.OpenQueue(t.Context(), raw); !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", raw, err, want)
		}
	}
}

func TestBucketURLs(t *testing.T) {
	newStub(t, nil)
	set := drivers.New(aws.Register)
	for _, good := range []string{
		"s3://b?region=x", "s3://b?region=x&prefix=jobs/&ssetype=aws:kms&kmskeyid=k", "s3://b?region=x&endpoint=http://127.0.0.1:1",
	} {
		b, err := set.OpenBucket(t.Context(), good)
		if err != nil {
			t.Errorf("got %s: %v, want no error", good, err)
			continue
		}
		_ = b.Close()
	}
	for raw, want := range map[string]string{
		"s3://?region=x":                "no bucket",
		"s3://b":                        "no region",
		"s3://b/x?region=x":             "path",
		"s3://b?region=x&prefx=y":       `did you mean "prefix"?`,
		"s3://b?region=x&ssetype=rot13": "aws:kms",
	} {
		if _, err := set.OpenBucket(t.Context(), raw); !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", raw, err, want)
		}
	}
}

func TestSignedURLsOfCompatiblesArePathStyle(t *testing.T) {
	newStub(t, nil)
	b, err := drivers.New(aws.Register).OpenBucket(t.Context(), "s3://b?region=x&endpoint=http://127.0.0.1:1&prefix=p/")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	u, err := b.SignedURL(t.Context(), "k", nil)
	if err != nil || !strings.HasPrefix(u, "http://127.0.0.1:1/b/p/k?") {
		t.Errorf(`got %s, %v, want no error && strings.HasPrefix(u, "http://127.0.0.1:1/b/p/k?")`, u, err)
	}
}
