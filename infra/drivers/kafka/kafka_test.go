package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

func TestSettings(t *testing.T) {
	a, err := drivers.ParseAddress("kafka+tls://u:p@a:1,b:2/jobs-{queue}?version=3.0.0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse(a)
	if err != nil {
		t.Fatal(err)
	}
	c := p.config()
	if len(p.brokers) != 2 || p.group != "piecework-{queue}" || c.Producer.RequiredAcks != sarama.WaitForAll || !c.Producer.Return.Successes ||
		c.Consumer.Offsets.Initial != sarama.OffsetOldest || !c.Net.TLS.Enable || c.Net.SASL.Password != "p" || c.Version != sarama.V3_0_0_0 {
		t.Errorf("address %+v, configuration %+v; want two brokers, all acks, oldest offsets, TLS and the password", p, c)
	}
	if p.config() == c {
		t.Error("a configuration is shared")
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestURLsThatAreRefused(t *testing.T) {
	for raw, want := range map[string]string{
		"kafka:///jobs-{queue}":                 "no broker",
		"kafka://h/jobs":                        "{queue}",
		"kafka://h/jobs-{queue}?group=x":        "{queue}",
		"kafka://h/jobs-{queue}?grup=x":         `did you mean "group"?`,
		"kafka://h/jobs-{queue}?offset=middle":  "one of oldest, newest",
		"kafka://h/jobs-{queue}?version=latest": "such as 2.1.0",
		"kafka://u:hunter2@h/jobs-{queue}":      "kafka+tls",
	} {
		_, err := drivers.New(Register).OpenQueue(t.Context(), raw)
		if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want %q", raw, err, want)
		}
	}
}

func TestABrokerThatIsAwayFailsSendsAndNotTheStart(t *testing.T) {
	q, err := drivers.New(Register).OpenQueue(t.Context(), "kafka://127.0.0.1:1/jobs-{queue}")
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Sender().Send(t.Context(), "default", 0, pubsubq.Message{ID: "job-1"}); err == nil || !strings.Contains(err.Error(), "brokers") {
		t.Errorf("error %v", err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOriginOfAMessage(t *testing.T) {
	m := &sarama.ConsumerMessage{Topic: "piecework.submit", Partition: 2, Offset: 7, Timestamp: time.UnixMilli(9)}
	got := origin(func(i any) bool {
		p, ok := i.(**sarama.ConsumerMessage)
		if ok {
			*p = m
		}
		return ok
	})
	if got != (pubsubq.Origin{ID: "piecework.submit/2/7@9"}) {
		t.Errorf(`got %+v, want got == (pubsubq.Origin{ID: "piecework.submit/2/7@9"})`, got)
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("of another broker: %+v", got)
	}
}

func TestWhatMustBeGranted(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("x: %w", sarama.ErrTopicAuthorizationFailed), "Read, Write and Describe the queues' topics"},
		{fmt.Errorf("x: %w", sarama.ErrGroupAuthorizationFailed), "consumer groups"},
		{sarama.ErrSASLAuthenticationFailed, "a user and password"},
		{sarama.ErrLeaderNotAvailable, ""},
		{errors.New("topic authorization failed, says a proxy"), ""},
		{nil, ""},
	} {
		if got := denied(c.err); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
