package pubsubq_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/piecework/piecework/pubsubq"
)

// Each binding of CloudEvents to a broker spells the attributes in its own way. SQS has no binding:
// senders use the spelling of HTTP or Kafka.
func TestEventsOfEveryBrokerAreTheSameEvent(t *testing.T) {
	for name, prefix := range map[string]string{
		"HTTP": "ce-", "HTTP canonical": "Ce-", "Pub/Sub": "ce-", "NATS": "ce-", "Kafka": "ce_", "SQS": "ce_",
		"AMQP": "cloudEvents:", "AMQP over JMS": "cloudEvents_",
	} {
		t.Run(name, func(t *testing.T) {
			e, ok, err := pubsubq.ParseEvent([]byte(`{"n":1}`), map[string]string{
				prefix + "specversion": "1.0", prefix + "type": "Order.Placed", prefix + "source": "/shop", prefix + "id": "7",
				prefix + "subject": "o/1", prefix + "region": "eu", prefix + "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "other": "x",
			})
			if err != nil || !ok {
				t.Fatalf("ParseEvent = %v, %v, want an event", ok, err)
			}
			if e.ID != "7" || e.Source != "/shop" || e.Type != "Order.Placed" || e.Subject != "o/1" ||
				e.Attributes["region"] != "eu" || e.Attributes["other"] != "" || string(e.Data) != `{"n":1}` {
				t.Errorf("event = %+v, want its attributes without the prefix, and its data", e)
			}
			s, err := e.Submission()
			if err != nil || s.Kind != "Order.Placed" || s.Key != "/shop/7" || s.Trace["traceparent"] != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" {
				t.Errorf("submission = %+v, %v, want kind Order.Placed, key /shop/7 and the trace", s, err)
			}
		})
	}
}

func TestTheTraceOfAnEventWinsOverItsMessages(t *testing.T) {
	const structured = `{"specversion":"1.0","type":"a","source":"s","id":"1"`
	for name, c := range map[string]struct {
		body     string
		metadata map[string]string
		want     string
	}{
		"both, structured": {structured + `,"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`, map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		"the message's":    {structured + `}`, map[string]string{"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		"both, binary": {
			"", map[string]string{
				"ce-specversion": "1.0", "ce-type": "a", "ce-source": "s", "ce-id": "1", "ce-traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			}, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := pubsubq.ParseSubmission([]byte(c.body), c.metadata)
			if err != nil || s.Trace["traceparent"] != c.want {
				t.Errorf("trace = %v, %v, want %s", s.Trace, err, c.want)
			}
		})
	}
}

func TestWhatIsNoEvent(t *testing.T) {
	for _, body := range []string{"", "x", "[]", `{"kind":"a"}`, "\xff"} {
		if _, ok, err := pubsubq.ParseEvent([]byte(body), map[string]string{"ce-type": "a"}); ok || err != nil {
			t.Errorf("ParseEvent(%q) = %v, %v, want false and no error", body, ok, err)
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
		t.Errorf("keys = %s and %s, want different ones of at most 512 bytes, the same each time", a, b)
	}
}

func TestEventsHaveKeysOfTheirOwn(t *testing.T) {
	digest := pubsubq.CloudEvent{Source: "/plant/a", ID: "b/1"}.Key()
	keys := map[string]string{}
	for _, e := range [][2]string{
		{"/plant/a", "b/1"}, {"/plant/a/b", "1"}, {"/plant", "a/b/1"}, {"/plant/a", "1"}, {"event", strings.TrimPrefix(digest, "event/")},
		{"event/x", "1"}, {"event-0/x", "1"}, {"x", "1"}, {"x", "1/0"}, {"x/1", "0"}, {"", ""}, {strings.Repeat("s", 600), "1"},
		{strings.Repeat("s", 600), "2"}, {strings.Repeat("s", 599) + "/s", "1"}, {strings.Repeat("s", 599), "s/1"},
	} {
		event := pubsubq.CloudEvent{Source: e[0], ID: e[1]}
		key := event.Key()
		if other, ok := keys[key]; ok || len(key) > 512 {
			t.Errorf("key of (%.80q, %q) = %q, want at most 512 bytes and not the key of %s", e[0], e[1], key, other)
		}
		keys[key] = e[0] + ", " + e[1]
	}
	for e, want := range map[[2]string]string{{"/shop", "7"}: "/shop/7", {"urn:x", "a-b"}: "urn:x/a-b"} {
		if got := (pubsubq.CloudEvent{Source: e[0], ID: e[1]}).Key(); got != want { // as earlier versions made them
			t.Errorf("the key of %q = %q, want %q", e, got, want)
		}
	}
}
