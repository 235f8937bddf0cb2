package rabbit

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

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
			t.Errorf("%s is %+v in %+v, %v, want %+v", raw, u, p, err, want)
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

func TestOriginOfAMessage(t *testing.T) {
	for name, c := range map[string]struct {
		d    amqp.Delivery
		want pubsubq.Origin
	}{
		"first":          {amqp.Delivery{MessageId: "m"}, pubsubq.Origin{ID: "m", Deliveries: 1}},
		"quorum, third":  {amqp.Delivery{MessageId: "m", Redelivered: true, Headers: amqp.Table{deliveryCount: int64(2)}}, pubsubq.Origin{ID: "m", Deliveries: 3}},
		"classic, again": {amqp.Delivery{Redelivered: true}, pubsubq.Origin{}},
	} {
		t.Run(name, func(t *testing.T) {
			as := func(i any) bool {
				*i.(*amqp.Delivery) = c.d
				return true
			}
			if got := origin(as); got != c.want {
				t.Errorf("origin = %+v, want %+v", got, c.want)
			}
		})
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("origin of another broker's message = %+v, want none", got)
	}
}

func TestABrokerThatIsAwayFailsSendsAndNotTheStart(t *testing.T) {
	q, err := drivers.New(Register).OpenQueue(t.Context(), "amqp://u:hunter2@127.0.0.1:1/")
	if err != nil {
		t.Fatal(err)
	}
	err = q.Sender().Send(t.Context(), "default", 0, pubsubq.Message{ID: "job-1"})
	if err == nil || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("send = %v, want an error that says refused, without the password", err)
	}
	if q.Sender().MaxDelay("default") != 0 {
		t.Errorf("MaxDelay = %v without the plugin, want 0", q.Sender().MaxDelay("default"))
	}
	if err := q.Close(t.Context()); err != nil {
		t.Errorf("close = %v", err)
	}
}

func TestWhatMustBeGranted(t *testing.T) {
	for reason, want := range map[string]string{
		"ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user 'jobs'": "grant user jobs write access to exchange 'amq.default': rabbitmqctl set_permissions -p / jobs CONFIGURE WRITE READ",
		"ACCESS_REFUSED - access to queue 'piecework.a' in vhost 'v' refused for user 'jobs'":          "grant user jobs access to queue 'piecework.a': rabbitmqctl set_permissions -p v jobs CONFIGURE WRITE READ",
		"username or password not allowed": "give this process a user and password that the broker knows, with access to its vhost",
	} {
		err := fmt.Errorf("declare: %w", &amqp.Error{Code: amqp.AccessRefused, Reason: reason})
		if got := denied(err); got != want {
			t.Errorf("denied: got %s: %q, want got == want", reason, got)
		}
	}
	if got := denied(errors.Join(errors.New("x"), &amqp.Error{Code: amqp.NotFound})); got != "" {
		t.Error(got)
	}
}
