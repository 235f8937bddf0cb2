package httpapi_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
)

const console = "https://console.example.com"

// preflight is what a browser asks before it sends a token, or a body in JSON.
func preflight(t *testing.T, d *desk, origin string) http.Header {
	t.Helper()
	w := d.ask(t, http.MethodOptions, "/v1/jobs", "", "Origin", origin, "Sec-Fetch-Site", "cross-site",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
	if allowed := w.Header().Get("Access-Control-Allow-Origin") != ""; allowed != (w.Code == http.StatusNoContent) {
		t.Errorf("preflight of %s: status %d with %v, want 204 exactly for what is allowed", origin, w.Code, w.Header())
	}
	return w.Header()
}

func TestPagesOfAllowedOriginsMayUseTheAPI(t *testing.T) {
	opts := withTokens()
	opts.Origins = []string{"http://localhost:3000", console}
	d := newDesk(t, opts)
	h := preflight(t, d, console)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": console, "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE", "Vary": "Origin",
		"Access-Control-Allow-Headers":     "Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Range, Traceparent, Tracestate, X-Request-ID",
		"Access-Control-Allow-Credentials": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("preflight: %s = %q, want %q", name, got, want)
		}
	}
	page := []string{"Origin", console, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}
	w := d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order"}`, append(page, "Authorization", "Bearer "+operatorToken)...)
	if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != http.StatusCreated || got != console {
		t.Errorf("a submission: status %d, Access-Control-Allow-Origin %q, want 201 and %q", w.Code, got, console)
	}
	w = d.ask(t, "GET", "/v1/jobs", "", page...)
	refused(t, w, http.StatusUnauthorized, "wants a token")
	if got := w.Header().Get("Access-Control-Allow-Origin"); got != console {
		t.Errorf("a refusal: Access-Control-Allow-Origin = %q, want %q, so that the page can read it", got, console)
	}
	if got := d.ask(t, "GET", "/v1/health", "").Header().Get("Vary"); got != "Origin" {
		t.Errorf("without an Origin: Vary = %q, want Origin, for caches", got)
	}
}

func TestPagesOfOtherOriginsMayNotUseTheAPI(t *testing.T) {
	allowed := withTokens()
	allowed.Origins = []string{console}
	for what, opts := range map[string]*httpapi.Options{"of no list": withTokens(), "of another": allowed, "without tokens": {Origins: []string{console}}} {
		t.Run(what, func(t *testing.T) {
			d := newDesk(t, opts)
			for _, origin := range []string{"https://evil.example.com", "null", "https://console.example.com.evil.com", "http://console.example.com"} {
				preflight(t, d, origin)
				w := d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order"}`, "Origin", origin, "Sec-Fetch-Site", "cross-site",
					"Authorization", "Bearer "+operatorToken)
				refused(t, w, http.StatusForbidden, "another origin")
				if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
					t.Errorf("%s: Access-Control-Allow-Origin = %q, want none", origin, got)
				}
			}
		})
	}
	if got := preflight(t, newDesk(t, withTokens()), console).Get("Vary"); got != "" {
		t.Errorf("without origins: Vary = %q, want none", got)
	}
}

// A server that answers this machine only still does, also to a page that it allows.
func TestAnAllowedPageOnThisMachineNeedsNoToken(t *testing.T) {
	d := newDesk(t, &httpapi.Options{Origins: []string{"http://localhost:3000"}})
	page := []string{"Origin", "http://localhost:3000", "Sec-Fetch-Site", "cross-site"}
	preflight(t, d, "http://localhost:3000")
	if w := d.ask(t, "GET", "/v1/jobs", "", page...); w.Code != http.StatusOK {
		t.Errorf("status %d, want 200: %s", w.Code, w.Body)
	}
	if w := d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order"}`, page...); w.Code != http.StatusCreated {
		t.Errorf("status %d, want 201: %s", w.Code, w.Body)
	}
	refused(t, d.ask(t, "GET", "/v1/jobs", "", append(page, "Host", "jobs.example.com")...), http.StatusMisdirectedRequest, "localhost")
}

func TestOriginsThatNoBrowserSendsAreRefused(t *testing.T) {
	for _, origin := range []string{
		"*", "null", "console.example.com", "https://console.example.com/", "https://Console.example.com", "https://console.example.com:443",
		"ftp://console.example.com", "https://user@console.example.com", "https://", "",
	} {
		if _, err := httpapi.New(newDesk(t, nil).rt, &httpapi.Options{Origins: []string{origin}}); !errors.Is(err, functions.ErrConfig) {
			t.Errorf("origin %q: error %v, want ErrConfig", origin, err)
		}
	}
}
