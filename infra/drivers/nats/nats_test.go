package nats

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

func address(t *testing.T, raw string) *drivers.Address {
	t.Helper()
	a, err := drivers.ParseAddress(raw)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestStreamURLs(t *testing.T) {
	s, err := parseStreams(address(t, "tls+jetstream://u:p@a:1,b:2/jobs.{queue}?replicas=3&storage=memory&ack_wait=5s&delay=schedule"))
	if err != nil {
		t.Fatal(err)
	}
	if s.servers != "tls://u:p@a:1,tls://u:p@b:2" || s.streamOf("a.b") != "piecework-a_b" {
		t.Errorf("%+v", s)
	}
	c := s.config("x", "jobs.a")
	if c.Retention != jetstream.WorkQueuePolicy || c.Storage != jetstream.MemoryStorage || c.Replicas != 3 || !c.AllowMsgSchedules ||
		len(c.Subjects) != 2 {
		t.Errorf("%+v", c)
	}
	if s, err = parseStreams(address(t, "jetstream://h/jobs.{queue}")); err != nil || s.ackWait != 30*time.Second || s.prefetch != 1 ||
		s.config("x", "y").Storage != jetstream.FileStorage || s.config("x", "y").AllowMsgSchedules {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestURLsThatAreRefused(t *testing.T) {
	for raw, want := range map[string]string{
		"jetstream:///jobs.{queue}":                "no host",
		"jetstream://h/jobs":                       "{queue}",
		"jetstream://h/jobs.>.{queue}":             "not a subject",
		"jetstream://h/jobs.{queue}?hodl=1m":       `did you mean "hold"?`,
		"jetstream://h/jobs.{queue}?tls_cert=x":    "both or none",
		"jetstream://h/jobs.{queue}?stream=jobs":   "{queue}",
		"jetstream://h/jobs.{queue}?consumer=a.b":  "consumer",
		"jetstream://h/jobs.{queue}?ack_wait=10ms": "from 1s",
		"jetstream://h/jobs.{queue}?storage=tape":  "one of file, memory",
	} {
		if _, err := drivers.New(Register).OpenQueue(t.Context(), raw); !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", raw, err, want)
		}
	}
}

func TestMetadataTravelsAsHeaders(t *testing.T) {
	m := &driver.Message{Body: []byte("x"), Metadata: map[string]string{"traceparent": "t"}}
	m.BeforeSend = func(as func(any) bool) error { return delay(as, time.Minute) }
	out, err := encode("jobs.a", m)
	if err != nil || out.delay != time.Minute || out.Subject != "jobs.a" {
		t.Fatal(out, err)
	}
	out.Header.Set(jetstream.MsgIDHeader, "id")
	got := decode("1", out.Data, out.Header, nil, nil)
	if string(got.Body) != "x" || len(got.Metadata) != 1 || got.Metadata["traceparent"] != "t" {
		t.Errorf("%+v", got)
	}
}

func TestErrorsAreClassified(t *testing.T) {
	for err, want := range map[error]gcerrors.ErrorCode{
		jetstream.ErrStreamNotFound: gcerrors.NotFound, errors.New("x"): gcerrors.Unknown, &jetstream.APIError{Code: 503}: gcerrors.ResourceExhausted,
	} {
		if got := streamError(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestAServerThatIsAwayFailsSendsAndNotTheStart(t *testing.T) {
	q, err := drivers.New(Register).OpenQueue(t.Context(), "jetstream://u:hunter2@127.0.0.1:1/jobs.{queue}")
	if err != nil {
		t.Fatal(err)
	}
	err = q.Sender().Send(t.Context(), "default", 0, pubsubq.Message{ID: "job-1"})
	if err == nil || !strings.Contains(err.Error(), "no servers") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
