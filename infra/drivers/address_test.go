package drivers_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

type slogLogger = slog.Logger

type fakeQueue struct{ closed *int }

func (q fakeQueue) Sender() *pubsubq.Sender {
	return pubsubq.NewSender(nil, nil)
}
func (q fakeQueue) Receiver(string) *pubsubq.Receiver { return nil }
func (q fakeQueue) Close(context.Context) error       { *q.closed++; return nil }

func TestAddressesAreTakenApart(t *testing.T) {
	for _, c := range []struct{ raw, scheme, user, host, path, text string }{
		{"mem://", "mem", "", "", "", "mem://"},
		{"S3://bucket?x=1", "s3", "", "bucket", "", "s3://bucket"},
		{"sqlite::memory:", "sqlite", "", "", ":memory:", "sqlite::memory:"},
		{"file:///a%20b/c", "file", "", "", "a b/c", "file:///a%20b/c"},
		{"amqp://u:p%40@h:5672/v?queue=x.{queue}", "amqp", "u:p%40", "h:5672", "v", "amqp://h:5672/v"},
		{"mongodb+srv://u:p@w@a:1,b:2/db", "mongodb+srv", "u:p%40w", "a:1,b:2", "db", "mongodb+srv://a:1,b:2/db"},
		{"nats://token@h/{queue}", "nats", "token", "h", "{queue}", "nats://h/{queue}"},
		{"awssns:///arn:aws:sns:r:1:{queue}", "awssns", "", "", "arn:aws:sns:r:1:{queue}", "awssns:///arn:aws:sns:r:1:{queue}"},
	} {
		a, err := drivers.ParseAddress(c.raw)
		if err != nil {
			t.Errorf("got %s: %v, want no error", c.raw, err)
			continue
		}
		user := ""
		if a.User != nil {
			user = a.User.String()
		}
		if a.Scheme != c.scheme || user != c.user || a.Host != c.host || a.Path != c.path || a.String() != c.text || a.Raw() != c.raw {
			t.Errorf("address of %s: scheme %q, user %q, host %q, path %q, text %q; want %+v", c.raw, a.Scheme, user, a.Host, a.Path, a, c)
		}
	}
	for _, raw := range []string{"", "x", "://x", "a b:c", "s3://b?%zz", "s3://b/%zz", "amqp://u:%zz@h"} {
		if _, err := drivers.ParseAddress(raw); err == nil {
			t.Errorf("%q was accepted", raw)
		} else {
			refused(t, err)
		}
	}
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	a, err := drivers.ParseAddress("amqp://user:hunter2@h/v?token=hunter2")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Check(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
	for _, raw := range []string{
		"amqp://user:hunter2%zz@h/v", "amqp://user:hun/hunter2@h/v", "amqp://user:hunter2/@h/v", "amqp://user:9/hunter2@h/v",
		"amqp://user:hunter2?hunter2@h/v", "amqp://user:hunter2?@h/v?x=1", "amqp//user:hunter2@h/v", "hunter2",
	} {
		if _, err := drivers.ParseAddress(raw); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v", raw, err)
		} else {
			refused(t, err)
		}
	}
}

func TestParametersAreChecked(t *testing.T) {
	a, err := drivers.ParseAddress("x://h?n=5&big=99&d=2s&b=maybe&one=c&twice=1&twice=2&lib=1&stray=1")
	if err != nil {
		t.Fatal(err)
	}
	p := a.Params
	if n := p.Int("n", 1, 1, 10); n != 5 {
		t.Error(n)
	}
	if d := p.Duration("d", time.Second, 0, time.Minute); d != 2*time.Second {
		t.Error(d)
	}
	if s := p.String("none", "def"); s != "def" {
		t.Error(s)
	}
	p.Int("big", 1, 1, 10)
	p.Bool("b", false)
	p.OneOf("one", "a", "b")
	p.String("twice", "")
	if rest := p.Rest("lib", "other"); rest.Encode() != "lib=1" {
		t.Error(rest)
	}
	refused(t, a.Check(), "big", "from 1 to 10", "true or false", "one of a, b", "given 2 times", `"stray"`)
	refused(t, a.WantPlaceholder("jobs"), drivers.Placeholder)
	refused(t, (&drivers.Address{Scheme: "s3"}).WantHost("bucket"), "bucket")
	if got := drivers.ForQueue("a-{queue}-b-{queue}", "x"); got != "a-x-b-x" {
		t.Error(got)
	}
}
