package pubsubq_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/piecework/piecework/pubsubq"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestOnlyAValidTraceTravels(t *testing.T) {
	long := strings.Repeat("v=0123456789,", 100)
	for name, c := range map[string]struct {
		parent, state string
		want          map[string]string
	}{
		"both":                        {parent, "a=b", map[string]string{"traceparent": parent, "tracestate": "a=b"}},
		"no state":                    {parent, "", map[string]string{"traceparent": parent}},
		"the longest state":           {parent, long[:512], map[string]string{"traceparent": parent, "tracestate": long[:512]}},
		"a state that is too long":    {parent, long[:513], map[string]string{"traceparent": parent}},
		"a state that is no ASCII":    {parent, "a=ä", map[string]string{"traceparent": parent}},
		"a state with a line break":   {parent, "a=b\nc=d", map[string]string{"traceparent": parent}},
		"a later version":             {"01" + parent[2:] + "-more", "", map[string]string{"traceparent": "01" + parent[2:] + "-more"}},
		"no parent":                   {"", "a=b", nil},
		"a parent that is too long":   {parent + "-more", "a=b", nil},
		"a parent that is far longer": {"01" + parent[2:] + "-" + long, "a=b", nil},
		"version ff":                  {"ff" + parent[2:], "", nil},
		"upper case":                  {strings.ToUpper(parent), "", nil},
		"no trace id":                 {"00-00000000000000000000000000000000-b7ad6b7169203331-01", "", nil},
		"no span id":                  {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "", nil},
		"something else":              {"00-1", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			from := map[string]string{"traceparent": c.parent, "tracestate": c.state, "other": "x"}
			if got := pubsubq.TraceOf(from); !maps.Equal(got, c.want) {
				t.Errorf("TraceOf = %v, want %v", got, c.want)
			}
			if _, got := (pubsubq.Message{ID: "j", Trace: from}).Encode(); !maps.Equal(got, c.want) {
				t.Errorf("the metadata of a message = %v, want %v", got, c.want)
			}
			event := map[string]string{
				"ce-specversion": "1.0", "ce-type": "a", "ce-source": "s", "ce-id": "1", "ce-traceparent": c.parent, "ce-tracestate": c.state,
			}
			if s, err := pubsubq.ParseSubmission(nil, event); err != nil || !maps.Equal(s.Trace, c.want) {
				t.Errorf("the trace of an event = %v, %v, want %v", s.Trace, err, c.want)
			}
		})
	}
}
