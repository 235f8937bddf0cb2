package cloudrun_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"testing"

	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/pubsubq"
)

func TestAttributesAreTakenFromHeaders(t *testing.T) {
	header := http.Header{}
	for name, value := range map[string]string{
		"X-Goog-Pubsub-Message-Id": "7", "X-Goog-Pubsub-Subscription-Name": "projects/p/subscriptions/piecework-submit",
		"X-Goog-Pubsub-Publish-Time": "2026-11-21T12:00:00Z", "X-Goog-Pubsub-Ordering-Key": "k",
		"Eventtype": "OBJECT_FINALIZE", "Bucketid": "b", "Objectid": "a b", "Origin-System": "crm", "Traceparent": "00-1", "Content-Type": "text/plain",
		"Authorization": "Bearer x", "User-Agent": "APIs-Google", "Accept": "*/*", "X-Forwarded-For": "1.2.3.4", "From": "noreply@google.com",
		"X-Cloud-Trace-Context": "x", "Forwarded": "for=x", "Content-Length": "5", "X-Serverless-Authorization": "Bearer y",
	} {
		header.Set(name, value)
	}
	m, err := cloudrun.Unwrap([]byte("hello"), header)
	if err != nil || m.ID != "7" || m.From != "piecework-submit" || string(m.Body) != "hello" {
		t.Errorf("message = %+v, error = %v; want no error, m.ID = \"7\", m.From = \"piecework-submit\" and string(m.Body) = \"hello\"", m, err)
	}
	want := map[string]string{
		"eventtype": "OBJECT_FINALIZE", "bucketid": "b", "objectid": "a b", "origin-system": "crm", "traceparent": "00-1", "content-type": "text/plain",
	}
	if !maps.Equal(m.Metadata, want) {
		t.Errorf("metadata = %q; want Equal(m.Metadata, want)", m.Metadata)
	}
}

// With the metadata in headers, a body that looks like an envelope is a body.
func TestAnEnvelopeWithinAMessageIsItsBody(t *testing.T) {
	inner := wrap("1", "hello", nil)
	m, err := cloudrun.Unwrap([]byte(inner), http.Header{"X-Goog-Pubsub-Message-Id": {"7"}})
	if err != nil || m.ID != "7" || string(m.Body) != inner {
		t.Errorf("message = %+v, error = %v; want no error, m.ID = \"7\" and string(m.Body) = inner", m, err)
	}
	if m, err = cloudrun.Unwrap([]byte(wrap("7", inner, nil)), nil); err != nil || m.ID != "7" || string(m.Body) != inner {
		t.Errorf("message = %+v, error = %v; want no error, m.ID = \"7\" and string(m.Body) = inner", m, err)
	}
}

func FuzzUnwrap(f *testing.F) {
	for _, text := range []string{
		"", "{}", "[]", "null", hint("job-1"), wrap("1", hint("job-1"), map[string]string{"a": "b"}), wrap("1", "", nil),
		`{"message":null,"subscription":null}`, `{"message":{"data":"#"},"subscription":"s"}`, `{"message":{"attributes":{"a":1}},"subscription":"s"}`,
		`{"Message":{"DATA":"aGk="},"Subscription":"a/b/"}`, `{"message":[],"subscription":{}}`, `{"message":"x","subscription":"y"}`,
	} {
		f.Add([]byte(text), "7", "a", "b")
	}
	f.Fuzz(func(t *testing.T, body []byte, id, name, value string) {
		m, err := cloudrun.Unwrap(body, nil)
		if err != nil && !errors.Is(err, pubsubq.ErrMalformed) {
			t.Errorf("body = %q, error = %v; want no error or error ErrMalformed", body, err)
		}
		if err == nil && m.ID == "" && m.From == "" && m.Metadata == nil && !bytes.Equal(m.Body, body) && !bytes.Contains(body, []byte("essage")) {
			t.Errorf("%q became %q", body, m.Body)
		}
		// Whatever it is, in an envelope it comes out as it was.
		header := http.Header{}
		if m, err = cloudrun.Unwrap([]byte(wrap("7", string(body), nil)), header); err != nil || !bytes.Equal(m.Body, body) || m.ID != "7" {
			t.Errorf("%q came out as %+v, %v", body, m, err)
		}
		header.Set("X-Goog-Pubsub-Message-Id", id)
		header[name] = []string{value}
		if m, err = cloudrun.Unwrap(body, header); id != "" && name != "X-Goog-Pubsub-Message-Id" && (err != nil || !bytes.Equal(m.Body, body) || m.ID != id) {
			t.Errorf("%q with metadata came out as %+v, %v", body, m, err)
		}
	})
}

// A message that only a newer version understands comes again a few times, in case one is being
// rolled out.
func TestWhatOnlyANewerVersionUnderstandsIsGivenBack(t *testing.T) {
	jobs, _ := doubles()
	w := newWorld(t, jobs, nil)
	push := func(status, attempt int) {
		t.Helper()
		// {"kind":"test.new"}
		w.expect(status, "/push/submit", fmt.Sprintf(
			`{"message":{"data":"eyJraW5kIjoidGVzdC5uZXcifQ==","messageId":"1"},"subscription":"s","deliveryAttempt":%d}`, attempt))
	}
	for attempt := 1; attempt <= 4; attempt++ {
		push(http.StatusServiceUnavailable, attempt)
	}
	push(http.StatusNoContent, 5)
	push(http.StatusNoContent, 0) // Pub/Sub does not count
	if parked, _, err := w.rt.Client().Parked(t.Context(), 10, ""); err != nil || len(parked) != 1 {
		t.Errorf("parked messages = %+v, error = %v; want no error and 1 parked", parked, err)
	}
}
