package lambda_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/tests/printed"
)

const submitARN = "arn:aws:sqs:eu-central-1:123456789012:piecework-submit"

// jobs lists the jobs' arguments and keys.
func (w *world) jobs(t *testing.T) (args, keys []string) {
	t.Helper()
	list, err := w.Client().List(t.Context(), functions.ListFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range list.Jobs {
		i := w.kit.Job(j.ID)
		args, keys = append(args, string(i.Args)), append(keys, i.Key)
	}
	slices.Sort(args)
	slices.Sort(keys)
	return args, keys
}

func TestMessagesBecomeJobsOnce(t *testing.T) {
	w := newWorld(t, sleeper(), functions.Config{})
	h := w.submits(t, w.options())
	event := "1.0"
	fromElsewhere := record(submitARN, "", `7`)
	fromElsewhere.MessageAttributes = map[string]events.SQSMessageAttribute{}
	for name, value := range map[string]string{"ce-specversion": event, "ce-type": "sleep", "ce-source": "/shop", "ce-id": "9"} {
		fromElsewhere.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &value}
	}
	records := []events.SQSMessage{
		record(submitARN, "", `{"kind":"sleep","args":1}`), record(submitARN, "", `{"kind":"sleep","args":2,"key":"two"}`),
		record(submitARN, "", `{"kind":"slep","args":3}`), record(submitARN, "", `nonsense`), fromElsewhere,
	}
	for range 2 { // SQS delivers at least once
		failed, err := deliver(t.Context(), t, h, records)
		wantBack(t, failed, err)
	}
	args, keys := w.jobs(t)
	if !slices.Equal(args, []string{"1", "2", "7"}) || !slices.Equal(keys, []string{"/shop/9", "message/m0", "two"}) {
		t.Errorf("jobs with %q, keys %q", args, keys)
	}
	parked, _, err := w.Client().Parked(t.Context(), 10, "")
	if err != nil || len(parked) != 2 {
		t.Errorf("parked %+v, error %v", parked, err)
	}
	if sent := w.kit.Messages(); len(sent) != 3 {
		t.Errorf("%d messages sent for 3 jobs, want 3", len(sent))
	}
}

// A message is the only copy of what it asks for, until the job is stored.
func TestWhatCouldNotBeStoredComesBack(t *testing.T) {
	w := newWorld(t, sleeper(), functions.Config{})
	h := w.submits(t, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := deliver(t.Context(), t, h, []events.SQSMessage{record(submitARN, "", `{"kind":"sleep","args":1}`)})
	wantErr(t, err, "none of 1 messages", "shut down")
}

// explosive are arguments whose reading panics.
type explosive struct{}

func (*explosive) UnmarshalJSON([]byte) error { panic("boom") }

func TestAPanicInReadingArgumentsIsItsMessagesOwn(t *testing.T) {
	reg := sleeper()
	functions.Handle(reg, "bomb", func(context.Context, *functions.Job[explosive]) (int, error) { return 0, nil })
	log := &printed.Text{}
	w := newWorld(t, reg, functions.Config{Log: logger(log)})
	failed, err := deliver(t.Context(), t, w.submits(t, nil), []events.SQSMessage{
		record(submitARN, "", `{"kind":"sleep","args":1}`), record(submitARN, "", `{"kind":"bomb","args":{}}`), record(submitARN, "", `{"kind":"sleep","args":2}`),
	})
	wantBack(t, failed, err) // it is parked: it would not become better by coming again
	if args, _ := w.jobs(t); !slices.Equal(args, []string{"1", "2"}) || !log.HasLine("message parked", "panic: boom", "submit_test.go") {
		t.Errorf("jobs with %q, want 1 and 2; log: %s", args, log)
	}
	parked, _, err := w.Client().Parked(t.Context(), 10, "")
	if err != nil || len(parked) != 1 || !strings.Contains(parked[0].Reason, "panic: boom") {
		t.Errorf("parked %+v, error %v; want one message, with the panic as its reason", parked, err)
	}
}

// Submissions of one group become jobs in the order in which they were sent.
func TestSubmissionsOfAGroupKeepTheirOrder(t *testing.T) {
	w := newWorld(t, sleeper(), functions.Config{})
	newer := record("arn:aws:sqs:eu-central-1:123456789012:piecework-submit.fifo", "a", `{"kind":"newer"}`) // which is given back
	newer.Attributes["ApproximateReceiveCount"] = "1"
	const arn = "arn:aws:sqs:eu-central-1:123456789012:piecework-submit.fifo"
	failed, err := deliver(t.Context(), t, w.submits(t, nil), []events.SQSMessage{
		record(arn, "a", `{"kind":"sleep","args":1}`), newer, record(arn, "b", `{"kind":"sleep","args":2}`),
		record(arn, "a", `{"kind":"sleep","args":3}`),
	})
	wantBack(t, failed, err, "m1", "m3")
	if args, _ := w.jobs(t); !slices.Equal(args, []string{"1", "2"}) {
		t.Errorf("jobs with %q", args)
	}
}

func TestOtherEventsAreRefusedWithWhatIsExpected(t *testing.T) {
	w := newWorld(t, sleeper(), functions.Config{})
	for _, c := range []struct{ event, says string }{
		{`{}`, "JSON of another form"},
		{`null`, "JSON of another form"},
		{`[1]`, "JSON of another form"},
		{`{"Records":[]}`, "Records that are not of SQS"},
		{`{"Records":[{"eventSource":"aws:s3"}]}`, `an event of "aws:s3"`},
		{`{"requestContext":{}}`, "an HTTP request"},
		{`{"detail-type":"Scheduled Event","source":"aws.events"}`, `an event of EventBridge from "aws.events"`},
		{`{"kind":"sleep","args":1}`, "send a message to that queue"},
	} {
		_, err := w.submits(t, nil)(t.Context(), json.RawMessage(c.event))
		wantErr(t, err, `the function "submit" got`, c.says, "events of SQS")
		_, err = w.execute(t, nil)(t.Context(), json.RawMessage(c.event))
		wantErr(t, err, `the function "execute" got`, "events of SQS")
	}
	_, err := w.submits(t, nil)(t.Context(), json.RawMessage(`{"Records":[{"eventSource":"aws:sqs","body":"x"}]}`))
	wantErr(t, err, "no messageId")
}

func TestHandlersRefuseWhatCannotWork(t *testing.T) {
	_, err := lambda.Submit(nil, nil)
	wantErr(t, err, "needs a runtime")
	w := newWorld(t, sleeper(), functions.Config{})
	_, err = lambda.Execute(w.Runtime, &lambda.Options{Concurrency: -1})
	wantErr(t, err, "Concurrency (-1)")
	_, err = lambda.HTTP(nil)
	wantErr(t, err, "http.Handler")
	_, err = lambda.Stream(nil)
	wantErr(t, err, "http.Handler")
	if !strings.Contains(err.Error(), functions.ErrConfig.Error()) {
		t.Error(err)
	}
}

// A message that only a newer version understands comes again a few times, in case one is being
// rolled out.
func TestWhatOnlyANewerVersionUnderstandsIsGivenBack(t *testing.T) {
	w := newWorld(t, sleeper(), functions.Config{})
	h := w.submits(t, w.options())
	for count, back := range map[string][]string{"1": {"m1"}, "4": {"m1"}, "5": nil, "": nil} {
		r := record(submitARN, "", `{"kind":"new"}`)
		r.Attributes = map[string]string{"ApproximateReceiveCount": count}
		failed, err := deliver(t.Context(), t, h, []events.SQSMessage{record(submitARN, "", `{"kind":"sleep","args":1,"key":"k"}`), r})
		wantBack(t, failed, err, back...)
	}
	if parked, _, err := w.Client().Parked(t.Context(), 10, ""); err != nil || len(parked) != 1 {
		t.Errorf("parked %+v, error %v", parked, err)
	}
}
