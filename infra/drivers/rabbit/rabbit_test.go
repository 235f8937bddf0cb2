package rabbit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

func TestURLs(t *testing.T) {
	for raw, want := range map[string]struct{ vhost, password, queue string }{
		"amqp://u:p%40ss@h": {"/", "p@ss", "piecework.{queue}"},
		"amqp://u:p@h:99/jobs?queue=j-{queue}&prefetch=20": {"jobs", "p", "j-{queue}"},
		"amqps://u:p@h/a%2Fb?type=classic&delay=plugin":    {"a/b", "p", "piecework.{queue}"},
	} {
		a, err := drivers.ParseAddress(raw)
		if err != nil {
			t.Fatal(err)
		}
		p, err := parse(a)
		if err != nil {
			t.Fatal(err)
		}
		u, err := amqp.ParseURI(p.url)
		if err != nil || u.Vhost != want.vhost || u.Password != want.password || p.queue != want.queue {
			t.Errorf("%s: %+v %+v, %v", raw, u, p, err)
		}
	}
	for raw, want := range map[string]string{
		"amqp:///v":                    "no host",
		"amqp://h/v?queue=jobs":        "{queue}",
		"amqp://h/v?prefech=1":         `did you mean "prefetch"?`,
		"amqp://h/v?prefetch=0":        "from 1 to 1000",
		"amqp://h/v?type=mirrored":     "one of quorum, classic",
		"amqp://h:port/v":              "port",
		"amqp://h/v?declare=perhaps":   "true or false",
		"amqp://u:hunter2@h:port/v?x=": "",
	} {
		_, err := drivers.New(Register).OpenQueue(t.Context(), raw)
		if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want %q", raw, err, want)
		}
	}
}

func TestMessagesArePersistent(t *testing.T) {
	m := &driver.Message{Body: []byte("x"), Metadata: map[string]string{"traceparent": "t"}}
	m.BeforeSend = func(as func(any) bool) error { return delay(as, 1500*time.Microsecond) }
	p, err := publishing(m)
	if err != nil || p.DeliveryMode != amqp.Persistent || p.Headers["traceparent"] != "t" || p.Headers[delayHeader] != int32(2) {
		t.Errorf("%+v, %v", p, err)
	}
	if err := delay(func(any) bool { return false }, time.Second); err == nil {
		t.Error("a message of another broker was delayed")
	}
}

func TestErrorsOfTheBrokerAreClassified(t *testing.T) {
	for code, want := range map[int]gcerrors.ErrorCode{
		amqp.NotFound: gcerrors.NotFound, amqp.AccessRefused: gcerrors.PermissionDenied, amqp.ConnectionForced: gcerrors.Unknown,
		amqp.PreconditionFailed: gcerrors.FailedPrecondition,
	} {
		err := errors.Join(errors.New("x"), &amqp.Error{Code: code})
		var broker *amqp.Error
		if got := errorCode(err); got != want || !errorAs(err, &broker) || broker.Code != code {
			t.Errorf("%d: %v, %v", code, got, broker)
		}
	}
	if errorCode(context.DeadlineExceeded) != gcerrors.DeadlineExceeded || errorCode(context.Canceled) != gcerrors.Canceled {
		t.Error("ends of contexts are not told apart")
	}
}

func TestABrokerThatIsAwayFailsSendsAndNotTheStart(t *testing.T) {
	q, err := drivers.New(Register).OpenQueue(t.Context(), "amqp://u:hunter2@127.0.0.1:1/")
	if err != nil {
		t.Fatal(err)
	}
	err = q.Sender().Send(t.Context(), "default", 0, pubsubq.Message{ID: "job-1"})
	if err == nil || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
	if q.Sender().MaxDelay("default") != 0 {
		t.Error("a broker without the plugin keeps messages back")
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
