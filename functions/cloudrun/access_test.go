package cloudrun_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/tests/printed"
)

// What a proxy passes on is not of this machine, whatever address it comes from.
func TestWithoutAccountsNoProxies(t *testing.T) {
	jobs, runs := doubles()
	w := newWorld(t, jobs, nil)
	id := w.kit.Submit("test.double", 1)
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"} {
		for _, path := range []string{"/push/execute", "/push/submit", "/events", "/sweep"} {
			rec := w.expect(http.StatusForbidden, path, hint(id), name, "203.0.113.7")
			printed.Want(t, rec.Body.String(), http.CanonicalHeaderKey(name), "this machine only", "start it with the accounts")
			if got := rec.Header().Get("Cross-Origin-Resource-Policy"); got != "same-origin" {
				t.Errorf("%s: Cross-Origin-Resource-Policy %q, want same-origin", path, got)
			}
		}
	}
	if runs.Load() != 0 {
		t.Errorf("%d runs, want none", runs.Load())
	}
	platform := newWorld(t, jobs, &cloudrun.Options{Callers: cloudrun.Callers{Platform: true}})
	platform.expect(http.StatusOK, "/sweep", "", "X-Forwarded-For", "203.0.113.7", "Forwarded", "for=203.0.113.7")
}

// A sender of CloudEvents that asks whether it may send is told so, if it may.
func TestSendersOfEventsMayAskFirst(t *testing.T) {
	jobs, _ := doubles()
	const sender = "eventemitter.example.com"
	for name, c := range map[string]struct {
		opts    *cloudrun.Options
		headers []string
		status  int
		origin  string
	}{
		"asks":              {nil, []string{"WebHook-Request-Origin", sender, "WebHook-Request-Rate", "120"}, 200, sender},
		"asks the platform": {&cloudrun.Options{Callers: cloudrun.Callers{Platform: true}}, []string{"WebHook-Request-Origin", sender}, 200, sender},
		"asks for nothing":  {nil, nil, 400, ""},
		"may not":           {&cloudrun.Options{Callers: (&issuer{t: t}).callers()}, []string{"WebHook-Request-Origin", sender}, 401, ""},
		"through a proxy":   {nil, []string{"WebHook-Request-Origin", sender, "Via", "1.1 x"}, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			newWorld(t, jobs, c.opts).ServeHTTP(rec, request(t, http.MethodOptions, "/events", "", c.headers...))
			rate := map[bool]string{true: "*"}[c.status == http.StatusOK]
			if h := rec.Header(); rec.Code != c.status || h.Get("Webhook-Allowed-Origin") != c.origin || h.Get("Webhook-Allowed-Rate") != rate {
				t.Errorf("status %d with %v, want %d with origin %q and rate %q", rec.Code, h, c.status, c.origin, rate)
			}
		})
	}
}
