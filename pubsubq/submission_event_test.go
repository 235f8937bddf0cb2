package pubsubq_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/piecework/piecework/pubsubq"
)

// Each broker's binding to CloudEvents spells the attributes its own way; SQS has no binding, and people use the HTTP
// spelling or Kafka's.
func TestEventsOfEveryBrokerAreTheSameEvent(t *testing.T) {
	for name, prefix := range map[string]string{
		"HTTP": "ce-", "HTTP canonical": "Ce-", "Pub/Sub": "ce-", "NATS": "ce-", "Kafka": "ce_", "SQS": "ce_",
		"AMQP": "cloudEvents:", "AMQP over JMS": "cloudEvents_",
	} {
		t.Run(name, func(t *testing.T) {
			e, ok, err := pubsubq.ParseEvent([]byte(`{"n":1}`), map[string]string{
				prefix + "specversion": "1.0", prefix + "type": "Order.Placed", prefix + "source": "/shop", prefix + "id": "7",
				prefix + "subject": "o/1", prefix + "region": "eu", prefix + "traceparent": "00-1", "other": "x",
			})
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			if e.ID != "7" || e.Source != "/shop" || e.Type != "Order.Placed" || e.Subject != "o/1" ||
				e.Attributes["region"] != "eu" || e.Attributes["other"] != "" || string(e.Data) != `{"n":1}` {
				t.Errorf("%+v", e)
			}
			s, err := e.Submission()
			if err != nil || s.Kind != "Order.Placed" || s.Key != "/shop/7" || s.Trace["traceparent"] != "00-1" {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestTheTraceOfAnEventGoesBeforeThatOfItsMessage(t *testing.T) {
	const structured = `{"specversion":"1.0","type":"a","source":"s","id":"1"`
	for name, c := range map[string]struct {
		body     string
		metadata map[string]string
		want     string
	}{
		"both, structured": {structured + `,"traceparent":"00-e"}`, map[string]string{"traceparent": "00-m"}, "00-e"},
		"the message's":    {structured + `}`, map[string]string{"Traceparent": "00-m"}, "00-m"},
		"both, binary": {
			"", map[string]string{
				"ce-specversion": "1.0", "ce-type": "a", "ce-source": "s", "ce-id": "1", "ce-traceparent": "00-e", "traceparent": "00-m",
			}, "00-e",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := pubsubq.ParseSubmission([]byte(c.body), c.metadata)
			if err != nil || s.Trace["traceparent"] != c.want {
				t.Errorf("%v, %v", s.Trace, err)
			}
		})
	}
}

func TestWhatIsNoEvent(t *testing.T) {
	for _, body := range []string{"", "x", "[]", `{"kind":"a"}`, "\xff"} {
		if _, ok, err := pubsubq.ParseEvent([]byte(body), map[string]string{"ce-type": "a"}); ok || err != nil {
			t.Errorf("%q: %v, %v", body, ok, err)
		}
	}
}

func TestALongKeyOfAnEventIsShortened(t *testing.T) {
	key := func(source, id string) string {
		e := map[string]string{"specversion": "1.0", "type": "a", "source": source, "id": id}
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		s, err := pubsubq.ParseSubmission(body, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.Key
	}
	long := strings.Repeat("s", 600)
	a, b := key(long, "1"), key(long, "2")
	if len(a) > 512 || a == b || a != key(long, "1") {
		t.Errorf("%s %s", a, b)
	}
}
