package nats

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/natspubsub"
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
	const full = "tls+jetstream://u:p@a:1,b:2/jobs.{queue}?replicas=3&storage=memory&ack_wait=5s&delay=schedule&hold=0s&declare=false"
	l, err := parse(address(t, full))
	if err != nil {
		t.Fatal(err)
	}
	if l.servers != "tls://u:p@a:1,tls://u:p@b:2" || l.streamOf("a.b") != "piecework-a_b" {
		t.Errorf("servers = %q, stream = %q, want both servers with TLS and user, and piecework-a_b", l.servers, l.streamOf("a.b"))
	}
	want := natspubsub.Options{
		MustExist: true, Schedule: true, Consumer: "workers", Replicas: 3, Memory: true, AckWait: 5 * time.Second, Hold: -1,
		NackDelay: time.Second, Prefetch: 1,
	}
	if l.opts != want {
		t.Errorf("options = %+v, want %+v", l.opts, want)
	}
	l, err = parse(address(t, "jetstream://h/jobs.{queue}"))
	want = natspubsub.Options{
		Consumer: "workers", Replicas: 1, AckWait: 30 * time.Second, Hold: 15 * time.Minute, NackDelay: time.Second, Prefetch: 1,
	}
	if err != nil || l.opts != want {
		t.Errorf("options = %+v, %v, want the defaults %+v", l.opts, err, want)
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

// message is a message of JetStream that has nothing but metadata.
type message struct{ jetstream.Msg }

func (message) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{
		Stream: "jobs", Sequence: jetstream.SequencePair{Stream: 7, Consumer: 9}, NumDelivered: 3, Timestamp: time.Unix(0, 5),
	}, nil
}

func TestOriginOfAMessage(t *testing.T) {
	as := func(i any) bool {
		*i.(*jetstream.Msg) = message{}
		return true
	}
	if got, want := origin(as), (pubsubq.Origin{ID: "jobs/7@5", Deliveries: 3}); got != want {
		t.Errorf("origin = %+v, want %+v", got, want)
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("origin of another broker's message = %+v, want none", got)
	}
}

func TestAServerThatIsAwayFailsSendsAndNotTheStart(t *testing.T) {
	q, err := drivers.New(Register).OpenQueue(t.Context(), "jetstream://u:hunter2@127.0.0.1:1/jobs.{queue}")
	if err != nil {
		t.Fatal(err)
	}
	err = q.Sender().Send(t.Context(), "default", 0, pubsubq.Message{ID: "job-1"})
	if err == nil || !strings.Contains(err.Error(), "no servers") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("send = %v, want an error that says that there are no servers, without the password", err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Errorf("close = %v", err)
	}
}
