package pubsubq_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/piecework/piecework/pubsubq"
)

func TestMessageRoundTrip(t *testing.T) {
	for _, m := range []pubsubq.Message{
		{ID: "job-0190f3c9"},
		{ID: `odd "id" \ with ünïcode <&>` + "\n"},
		{ID: "j", Trace: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=b"}},
	} {
		body, metadata := m.Encode()
		got, err := pubsubq.DecodeMessage(body, metadata)
		if err != nil || got.ID != m.ID || !maps.Equal(got.Trace, m.Trace) {
			t.Errorf("message %+v came back as %+v, %v, want it unchanged (body %s)", m, got, err, body)
		}
	}
}

func TestMessageLeavesForeignMetadataOut(t *testing.T) {
	m := pubsubq.Message{ID: "j", Trace: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "", "baggage": "b"}}
	if _, metadata := m.Encode(); !maps.Equal(metadata, map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
		t.Errorf("metadata = %v, want the traceparent only", metadata)
	}
}

func TestDecodeMessageOfAnotherVersion(t *testing.T) {
	got, err := pubsubq.DecodeMessage([]byte(` {"new":[1], "id":"j" } `), nil)
	if err != nil || got.ID != "j" {
		t.Errorf("decode = %+v, %v, want id j and no error", got, err)
	}
}

func TestDecodeMalformedMessage(t *testing.T) {
	for body, want := range map[string]string{
		"":                                 "empty",
		"  ":                               "empty",
		"\xff":                             "UTF-8",
		"{":                                "not JSON at byte 1",
		"[]":                               "want a JSON object",
		"null":                             "want a JSON object",
		`"j"`:                              "want a JSON object",
		"{}":                               `no field "id"`,
		`{"id":1}`:                         `field "id": want a string, got "1"`,
		`{"id":null}`:                      `want a string`,
		`{"id":""}`:                        `is empty`,
		`{"ID":"j"}`:                       `no field "id"`,
		`{"kind":"a.b"}`:                   "submit queue",
		`{"id":"j"} x`:                     "not JSON at byte 12",
		`{"x":"` + strings.Repeat("x", 99): "bytes more",
	} {
		_, err := pubsubq.DecodeMessage([]byte(body), nil)
		if !errors.Is(err, pubsubq.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("decode %q: %v, want it to say %q", body, err, want)
		}
	}
}

func FuzzDecodeMessage(f *testing.F) {
	for _, seed := range []string{`{"id":"j"}`, `{"id":"\u0041"}`, `{"id":"a\"b"}`, `{}`, `[`, `{"id":"j","id":"k"}`, "\xff"} {
		f.Add([]byte(seed), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	}
	f.Fuzz(func(t *testing.T, body []byte, trace string) {
		m, err := pubsubq.DecodeMessage(body, map[string]string{"traceparent": trace})
		if err != nil {
			if !errors.Is(err, pubsubq.ErrMalformed) {
				t.Errorf("decode %q = %v, want ErrMalformed", body, err)
			}
			return
		}
		again, err := pubsubq.DecodeMessage(m.Encode())
		if err != nil || again.ID != m.ID || !maps.Equal(again.Trace, m.Trace) {
			t.Errorf("%q became %+v, then %+v, %v, want the same again", body, m, again, err)
		}
	})
}
