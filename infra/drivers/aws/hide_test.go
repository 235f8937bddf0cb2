package aws_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
)

const hiddenARN = "arn:aws:sqs:eu-central-1:123456789012:jobs-orders.fifo"

// hider opens a queue that can be told when messages come again.
func hider(t *testing.T, rawURL string) drivers.Hider {
	t.Helper()
	q, err := drivers.New(aws.Register).OpenQueue(t.Context(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close(context.WithoutCancel(t.Context())) })
	return q.(drivers.Hider)
}

// Messages are hidden ten at a time, for whole seconds, and for no longer than SQS takes.
func TestWhatIsGivenBackIsHiddenTenAtATime(t *testing.T) {
	s := newStub(t, map[string]func(int, object) (int, object){"ChangeMessageVisibilityBatch": ok(object{})})
	h := hider(t, "awssqs://"+s.host()+"/1/jobs-{queue}?region=x&endpoint="+s.url)
	var some []drivers.Hidden
	for i := range 25 {
		some = append(some, drivers.Hidden{Receipt: fmt.Sprint("h", i), For: time.Duration(i) * 1500 * time.Millisecond})
	}
	some[23].For, some[24].For = -time.Second, 13*time.Hour
	if err := h.Hide(t.Context(), hiddenARN, some); err != nil {
		t.Fatal(err)
	}
	got, sizes := map[string]float64{}, []int{}
	for _, req := range s.requests("ChangeMessageVisibilityBatch") {
		if req["QueueUrl"] != s.url+"/123456789012/jobs-orders.fifo" {
			t.Errorf("asked of %v", req["QueueUrl"])
		}
		entries := req["Entries"].([]any)
		sizes = append(sizes, len(entries))
		for _, e := range entries {
			seconds, _ := e.(object)["VisibilityTimeout"].(float64)
			got[e.(object)["ReceiptHandle"].(string)] = seconds
		}
	}
	if slices.Sort(sizes); !slices.Equal(sizes, []int{5, 10, 10}) || len(got) != 25 {
		t.Errorf("requests of %v messages, %d in all", sizes, len(got))
	}
	for receipt, seconds := range map[string]float64{"h0": 0, "h1": 2, "h2": 3, "h22": 33, "h23": 0, "h24": 41400} {
		if got[receipt] != seconds {
			t.Errorf("%s is hidden for %v s, want %v", receipt, got[receipt], seconds)
		}
	}
}

// One error tells of all that could not be hidden; what became visible meanwhile is none.
func TestWhatCannotBeHiddenIsToldOnce(t *testing.T) {
	some := make([]drivers.Hidden, 20)
	s := newStub(t, map[string]func(int, object) (int, object){"ChangeMessageVisibilityBatch": func(int, object) (int, object) {
		return http.StatusOK, object{"Failed": []object{
			{"Id": "0", "Code": "ReceiptHandleIsInvalid", "Message": "no such handle", "SenderFault": true},
			{"Id": "1", "Code": "AWS.SimpleQueueService.MessageNotInflight", "SenderFault": true},
		}}
	}})
	h := hider(t, "awssqs://"+s.host()+"/1/jobs-{queue}?region=x&endpoint="+s.url)
	err := h.Hide(t.Context(), hiddenARN, some)
	if err == nil || !strings.Contains(err.Error(), "of 20 messages of queue "+s.url+"/123456789012/jobs-orders.fifo: 2 failed, one because: ReceiptHandleIsInvalid no such handle") {
		t.Errorf("error %v", err)
	}
	denied := newStub(t, map[string]func(int, object) (int, object){"ChangeMessageVisibilityBatch": func(int, object) (int, object) {
		return http.StatusBadRequest, object{"__type": "AccessDeniedException", "message": "not authorized to perform: sqs:ChangeMessageVisibility"}
	}})
	h = hider(t, "awssqs://"+denied.host()+"/1/jobs-{queue}?region=x&endpoint="+denied.url)
	if err = h.Hide(t.Context(), hiddenARN, some); err == nil || !strings.Contains(err.Error(), "20 failed") || !strings.Contains(err.Error(), "sqs:ChangeMessageVisibility") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Hide(ctx, hiddenARN, some); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := h.Hide(t.Context(), "jobs", some); err == nil || !strings.Contains(err.Error(), `queue "jobs": want the ARN`) {
		t.Errorf("error %v", err)
	}
}

// Behind SNS too messages are received from a queue, of which the configuration may say nothing.
func TestQueuesBehindSNSCanBeTold(t *testing.T) {
	s := newStub(t, map[string]func(int, object) (int, object){"ChangeMessageVisibilityBatch": ok(object{})})
	const topic = "awssns:///arn:aws:sns:eu-central-1:1:jobs-{queue}?endpoint="
	for more, want := range map[string]string{
		"": "https://sqs.eu-central-1.amazonaws.com", "&queue=https://sqs.example/1/jobs-{queue}": "https://sqs.example",
	} {
		h := hider(t, topic+s.url+more)
		if err := h.Hide(t.Context(), "arn:aws:sqs:eu-central-1:2:other", []drivers.Hidden{{Receipt: "h"}}); err != nil {
			t.Fatal(err)
		}
		reqs := s.requests("ChangeMessageVisibilityBatch")
		if got := reqs[len(reqs)-1]["QueueUrl"]; got != want+"/2/other" {
			t.Errorf("asked of %v, want %s", got, want)
		}
	}
}
