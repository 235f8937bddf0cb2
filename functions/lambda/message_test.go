package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/awssnssqs"
)

// line is SQS and SNS as far as gocloud sees them: it keeps what is sent, in the form in which SQS
// would deliver it.
type line struct {
	t   *testing.T
	url string

	mu   sync.Mutex
	sent []events.SQSMessage // all
	next int                 // the one to deliver next
}

func newLine(t *testing.T) *line {
	t.Helper()
	w := &line{t: t}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *line) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch _, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); op {
	case "SendMessageBatch":
		w.sendBatch(r)
		fmt.Fprint(out, `{"Successful":[],"Failed":[]}`)
	case "ReceiveMessage":
		w.receive(out)
	case "":
		w.publish(r)
		fmt.Fprint(out, `<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult/></PublishBatchResponse>`)
	default:
		fmt.Fprint(out, `{}`)
	}
}

// sendBatch keeps messages that were sent to a queue.
func (w *line) sendBatch(r *http.Request) {
	var req struct {
		Entries []struct {
			MessageBody       string `json:"MessageBody"`
			MessageAttributes map[string]struct {
				DataType    string `json:"DataType"`
				StringValue string `json:"StringValue"`
			} `json:"MessageAttributes"`
		} `json:"Entries"`
	}
	_ = json.NewDecoder(r.Body).Decode(&req)
	for _, e := range req.Entries {
		m := events.SQSMessage{Body: e.MessageBody, MessageAttributes: map[string]events.SQSMessageAttribute{}}
		for name, a := range e.MessageAttributes {
			m.MessageAttributes[name] = events.SQSMessageAttribute{DataType: a.DataType, StringValue: &a.StringValue}
		}
		w.keep(m)
	}
}

// publish keeps a message that was sent to a topic, in SNS's envelope.
func (w *line) publish(r *http.Request) {
	const entry = "PublishBatchRequestEntries.member.1."
	attributes := map[string]any{}
	for i := 1; r.FormValue(fmt.Sprintf(entry+"MessageAttributes.entry.%d.Name", i)) != ""; i++ {
		prefix := fmt.Sprintf(entry+"MessageAttributes.entry.%d.", i)
		attributes[r.FormValue(prefix+"Name")] = map[string]string{"Type": "String", "Value": r.FormValue(prefix + "Value.StringValue")}
	}
	body, err := json.Marshal(map[string]any{
		"Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:eu-central-1:1:jobs", "Timestamp": "2026-11-22T00:00:00Z",
		"Message": r.FormValue(entry + "Message"), "MessageAttributes": attributes,
		"SignatureVersion": "1", "Signature": "EXAMPLE", "SigningCertURL": "https://sns.example/x.pem", "UnsubscribeURL": "https://sns.example/",
	})
	if err != nil {
		w.t.Error(err)
	}
	w.keep(events.SQSMessage{Body: string(body)})
}

func (w *line) keep(m events.SQSMessage) {
	m.MessageId, m.EventSource, m.EventSourceARN = fmt.Sprint("sqs-", len(w.sent)), "aws:sqs", "arn:aws:sqs:eu-central-1:1:jobs"
	w.sent = append(w.sent, m)
}

// receive delivers the oldest message, once.
func (w *line) receive(out http.ResponseWriter) {
	messages := []map[string]any{}
	if w.next < len(w.sent) {
		m := w.sent[w.next]
		w.next++
		attributes := map[string]map[string]string{}
		for name, a := range m.MessageAttributes {
			attributes[name] = map[string]string{"DataType": a.DataType, "StringValue": *a.StringValue}
		}
		messages = append(messages, map[string]any{"MessageId": m.MessageId, "ReceiptHandle": "h", "Body": m.Body, "MessageAttributes": attributes})
	}
	text, err := json.Marshal(map[string]any{"Messages": messages})
	if err != nil {
		w.t.Error(err)
	}
	_, _ = out.Write(text)
}

// config is the SDK's.
func (w *line) config() aws.Config {
	return aws.Config{
		Region: "eu-central-1", BaseEndpoint: &w.url,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "x", SecretAccessKey: "x"}, nil
		}),
	}
}

// What gocloud sends is read as gocloud reads it: the message that a worker would get.
func TestMessagesOfGocloudAreReadAsGocloudReadsThem(t *testing.T) {
	t.Parallel()
	w := newLine(t)
	queues := sqs.NewFromConfig(w.config(), func(o *sqs.Options) { o.DisableMessageChecksumValidation = true })
	sub := awssnssqs.OpenSubscription(t.Context(), queues, w.url+"/1/jobs", nil)
	defer sub.Shutdown(context.WithoutCancel(t.Context()))
	topics := map[string]*pubsub.Topic{
		"SQS":        awssnssqs.OpenSQSTopic(t.Context(), queues, w.url+"/1/jobs", nil),
		"SQS base64": awssnssqs.OpenSQSTopic(t.Context(), queues, w.url+"/1/jobs", &awssnssqs.TopicOptions{BodyBase64Encoding: awssnssqs.Always}),
		"SNS":        awssnssqs.OpenSNSTopic(t.Context(), sns.NewFromConfig(w.config()), "arn:aws:sns:eu-central-1:1:jobs", nil),
	}
	odd := map[string]string{
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "ce:type": "a/b", ".dots..": "100%", "__0x2f__": "__0x2f__", "ä ö": "☺ +%2B",
		"under_score-dash": "a=b&c", "__0x": "__", "___0x41__": "\"", "0": " ",
	}
	for name, topic := range topics {
		for _, body := range []string{`{"id":"job-1"}`, "\xff\x00\xfe", `{"Message":"ü"}`} {
			for _, metadata := range []map[string]string{nil, odd} {
				if err := topic.Send(t.Context(), &pubsub.Message{Body: []byte(body), Metadata: metadata}); err != nil {
					t.Fatal(err)
				}
				w.mu.Lock()
				raw := w.sent[len(w.sent)-1]
				w.mu.Unlock()
				want, err := sub.Receive(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				want.Ack()
				got := reader().read(&raw)
				if string(got.body) != body || string(want.Body) != body || !maps.Equal(got.metadata, want.Metadata) || !maps.Equal(got.metadata, metadata) {
					t.Errorf("%s: %q with %q is read as %q with %q; gocloud: %q with %q", name, body, metadata, got.body, got.metadata, want.Body, want.Metadata)
				}
				if id := map[bool]string{true: "sns-1", false: raw.MessageId}[name == "SNS"]; got.id != id {
					t.Errorf("%s: id %q, want %q", name, got.id, id)
				}
			}
		}
		if err := topic.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func reader() *queueFunction { return &queueFunction{opts: Options{QueueName: queueName}} }

func TestAttributesThatAreNotText(t *testing.T) {
	number := "42"
	m := reader().read(&events.SQSMessage{Body: "{}", EventSourceARN: "arn:aws:sqs:eu-central-1:1:piecework-submit", MessageAttributes: map[string]events.SQSMessageAttribute{
		"binary": {DataType: "Binary", BinaryValue: []byte("11\x00")}, "number": {DataType: "Number", StringValue: &number},
	}})
	if !maps.Equal(m.metadata, map[string]string{"binary": "11\x00", "number": "42"}) || m.queue != "piecework-submit" {
		t.Errorf("read %q of %q", m.metadata, m.queue)
	}
	envelope := fmt.Sprintf(`{"Type":"Notification","MessageId":"n","TopicArn":"a","Timestamp":"t","Message":"m","MessageAttributes":{"b":{"Type":"Binary","Value":%q}}}`,
		base64.StdEncoding.EncodeToString([]byte("\x01\x02")))
	if m := reader().read(&events.SQSMessage{Body: envelope}); m.metadata["b"] != "\x01\x02" || string(m.body) != "m" || m.id != "n" {
		t.Errorf("read %+v", m)
	}
}

// Only what SNS wrote is unwrapped: a body is somebody's data.
func TestWhatIsNoNotificationStaysAsItIs(t *testing.T) {
	text := "x"
	full := `{"Type":"Notification","MessageId":"n","TopicArn":"a","Timestamp":"t","Message":"m"}`
	for _, r := range []events.SQSMessage{
		{Body: `{"Type":"Notification","Message":"m"}`},
		{Body: `{"TopicArn":"a","MessageId":"n","Timestamp":"t","Message":"m"}`},
		{Body: `"Notification"`},
		{Body: `{"Type":"Notification"`},
		{Body: full, MessageAttributes: map[string]events.SQSMessageAttribute{"a": {DataType: "String", StringValue: &text}}}, // SNS puts them inside
	} {
		if m := reader().read(&r); string(m.body) != r.Body {
			t.Errorf("%s is read as %s", r.Body, m.body)
		}
	}
	if m := reader().read(&events.SQSMessage{Body: full}); string(m.body) != "m" {
		t.Errorf("read %s", m.body)
	}
	// A flag that is not true leaves the body as it is, as with gocloud.
	no := "true"
	if m := reader().read(&events.SQSMessage{Body: "not base64!", MessageAttributes: map[string]events.SQSMessageAttribute{encodedBody: {StringValue: &no}}}); string(m.body) != "not base64!" || m.metadata != nil {
		t.Errorf("read %q %q", m.body, m.metadata)
	}
}

func FuzzUnescapeName(f *testing.F) {
	for _, s := range []string{"", "a", "__0x2f__", "__0x", "__0x__", "___0x2f___", "__0x2f_", "__0xzz__", "__0x-5__", "__0x7fffffffff__", "__0x5f____0x30x2f__"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := unescapeName(s), slowly(s); got != want && utf8.ValidString(s) { // names are
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	})
}

// slowly is gocloud.dev/internal/escape.HexUnescape, which nobody else may import, rune by rune as
// there.
func slowly(s string) string {
	runes := []rune(s)
	var out []rune
	changed := false
	for i := 0; i < len(runes); i++ {
		if char, last, ok := escapeAt(runes, i); ok {
			out, i, changed = append(out, char), last, true
			continue
		}
		out = append(out, runes[i])
	}
	if !changed {
		return s
	}
	return string(out)
}

func escapeAt(r []rune, i int) (char rune, last int, ok bool) {
	for _, want := range "__0x" {
		if i >= len(r) || r[i] != want {
			return 0, 0, false
		}
		i++
	}
	begin := i
	for i < len(r) && r[i] != '_' {
		i++
	}
	if i+1 >= len(r) || r[i+1] != '_' {
		return 0, 0, false
	}
	n, err := strconv.ParseInt(string(r[begin:i]), 16, 32)
	return rune(n), i + 1, err == nil
}
