package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
	"github.com/piecework/piecework/tests/printed"
)

const (
	queueARN = "arn:aws:sqs:eu-central-1:123456789012:piecework-default"
	fifoARN  = "arn:aws:sqs:eu-central-1:123456789012:piecework-orders.fifo"
)

// world is a system in memory, whose messages the test takes and delivers.
type world struct {
	*functions.Runtime

	kit    *kit.Kit
	mu     sync.Mutex
	outs   []functions.Outcome
	lists  []string                 // of the store
	hidden map[string]time.Duration // by message
}

// count notes an action list.
func (w *world) count(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
	w.mu.Lock()
	list := fmt.Sprint(len(acts), " writes")
	if len(acts) > 0 && acts[0].Kind == driver.Get {
		list = fmt.Sprint(len(acts), " reads")
	}
	w.lists = append(w.lists, list)
	w.mu.Unlock()
	return next(ctx, acts)
}

func newWorld(t *testing.T, reg *functions.Registry, cfg functions.Config) *world {
	t.Helper()
	w := &world{hidden: map[string]time.Duration{}}
	w.kit = kit.New(t, reg, kit.WallClock(), kit.Config(cfg), kit.Store(store.Options{}), kit.Hooks(relay.Hooks{Actions: w.count}))
	w.Runtime = w.kit.Runtime()
	return w
}

// options are options that let the test see what becomes of messages.
func (w *world) options() *lambda.Options {
	return &lambda.Options{
		OnOutcome: func(_ string, out functions.Outcome) { w.outs = append(w.outs, out) },
		Hide: func(_ context.Context, back []lambda.GivenBack) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, b := range back {
				w.hidden[b.Message.MessageId] = b.After
			}
			return nil
		},
	}
}

func (w *world) execute(t *testing.T, o *lambda.Options) lambda.Handler {
	return made(t)(lambda.Execute(w.Runtime, o))
}
func (w *world) submits(t *testing.T, o *lambda.Options) lambda.Handler {
	return made(t)(lambda.Submit(w.Runtime, o))
}

// made fails the test if a handler could not be made.
func made(t *testing.T) func(lambda.Handler, error) lambda.Handler {
	return func(h lambda.Handler, err error) lambda.Handler {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
}

// states are the states of jobs, in order.
func (w *world) states(t *testing.T, ids ...string) string {
	t.Helper()
	var all []string
	for _, id := range ids {
		all = append(all, string(w.kit.Job(id).State))
	}
	return strings.Join(all, " ")
}

// record is a message as an event source mapping delivers it. Its id is m0, m1 and so on, by its
// place in the event.
func record(arn, group, body string) events.SQSMessage {
	r := events.SQSMessage{EventSource: "aws:sqs", EventSourceARN: arn, AWSRegion: "eu-central-1", Body: body, ReceiptHandle: "handle"}
	if group != "" {
		r.Attributes = map[string]string{"MessageGroupId": group}
	}
	return r
}

// hint is the body of the message of a job.
func hint(id string) string {
	body, _ := pubsubq.Message{ID: id}.Encode()
	return string(body)
}

// hints are the messages of jobs, of a standard queue.
func hints(ids ...string) []events.SQSMessage {
	var all []events.SQSMessage
	for _, id := range ids {
		all = append(all, record(queueARN, "", hint(id)))
	}
	return all
}

func payloadOf(t *testing.T, records []events.SQSMessage) json.RawMessage {
	t.Helper()
	for i := range records {
		if records[i].MessageId == "" {
			records[i].MessageId = fmt.Sprint("m", i)
		}
	}
	payload, err := json.Marshal(events.SQSEvent{Records: records})
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// deliver calls a handler with messages, as Lambda does, and returns which it gave back: all, if it
// failed.
func deliver(ctx context.Context, t *testing.T, h lambda.Handler, records []events.SQSMessage) ([]string, error) {
	t.Helper()
	answer, err := h(ctx, payloadOf(t, records))
	var failed []string
	if err != nil {
		for i := range records {
			failed = append(failed, records[i].MessageId)
		}
		return failed, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"batchItemFailures":[`) {
		t.Fatalf("answer %s", text)
	}
	var response events.SQSEventResponse
	if err := json.Unmarshal(text, &response); err != nil {
		t.Fatal(err)
	}
	for _, f := range response.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed, nil
}

// wantBack fails the test unless these messages were given back.
func wantBack(t *testing.T, got []string, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatalf("the invocation failed: %v", err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("given back: %q, want %q", got, want)
	}
}

// wantErr fails the test unless err says all the texts.
func wantErr(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

// sleeper registers a kind that sleeps for its argument in milliseconds, and fails if that is
// negative.
func sleeper(opts ...functions.KindOption) *functions.Registry {
	reg := functions.NewRegistry()
	functions.Handle(reg, "sleep", func(ctx context.Context, job *functions.Job[int]) (int, error) {
		if job.Args < 0 {
			return 0, functions.Permanent(errors.New("negative"))
		}
		select {
		case <-time.After(time.Duration(job.Args) * time.Millisecond):
			return job.Args, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}, opts...)
	return reg
}

// logger writes a log as lines of text.
func logger(to *printed.Text) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }
