package httpapi_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
)

const (
	readerToken   = "reader-0123456789"
	operatorToken = "operator-0123456789"
)

func withTokens() *httpapi.Options {
	return &httpapi.Options{Tokens: []httpapi.Token{
		{Value: readerToken, Role: httpapi.Reader, Name: "dashboard"}, {Value: operatorToken, Role: httpapi.Operator, Name: "ops"},
	}}
}

// routes are all routes, as a request to each.
var routes = []struct{ method, target, body string }{
	{"POST", "/v1/jobs", `{"kind":"test.order"}`},
	{"POST", "/v1/jobs/batch", `{"jobs":[{"kind":"test.order"}]}`},
	{"GET", "/v1/jobs", ""},
	{"GET", "/v1/counts", ""},
	{"GET", "/v1/jobs/{id}", ""},
	{"GET", "/v1/jobs/{id}/wait?timeout=1ms", ""},
	{"POST", "/v1/jobs/{id}/release", ""},
	{"POST", "/v1/jobs/{id}/cancel", `{"reason":"x"}`},
	{"POST", "/v1/jobs/{id}/retry", ""},
	{"GET", "/v1/jobs/{id}/outputs", ""},
	{"GET", "/v1/kinds", ""},
	{"GET", "/v1/kinds/test.order", ""},
	{"GET", "/v1/parked", ""},
	{"GET", "/v1/stats", ""},
	{"POST", "/v1/sweep", ""},
}

func TestRoles(t *testing.T) {
	d := newDesk(t, withTokens())
	for _, c := range routes {
		t.Run(c.method+c.target, func(t *testing.T) {
			w := d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order","held":true}`, "Authorization", "Bearer "+operatorToken)
			id := want[functions.Receipt](t, w, 201).ID
			if strings.HasSuffix(c.target, "/retry") {
				d.ask(t, "POST", "/v1/jobs/"+id+"/cancel", "", "Authorization", "Bearer "+operatorToken)
			}
			target := strings.Replace(c.target, "{id}", id, 1)
			none := d.ask(t, c.method, target, c.body)
			refused(t, none, 401, "wants a token")
			if got := none.Header().Get("WWW-Authenticate"); got != `Bearer realm="piecework"` {
				t.Errorf("WWW-Authenticate %q", got)
			}
			refused(t, d.ask(t, c.method, target, c.body, "Authorization", "Bearer "+operatorToken+"x"), 401, "not known")
			refused(t, d.ask(t, c.method, target, c.body, "Authorization", "Basic "+operatorToken), 401, "not known")
			reader := d.ask(t, c.method, target, c.body, "Authorization", "Bearer "+readerToken)
			if c.method == "POST" {
				refused(t, reader, 403, "operator")
			} else if reader.Code != 200 {
				t.Errorf("a reader got %d: %s", reader.Code, reader.Body)
			}
			if w := d.ask(t, c.method, target, c.body, "Authorization", "bearer "+operatorToken); w.Code >= 300 {
				t.Errorf("an operator got %d: %s", w.Code, w.Body)
			}
		})
	}
	for target, method := range map[string]string{"/v1/parked/parked-0": "DELETE", "/v1/parked/parked-0/replay": "POST"} {
		refused(t, d.ask(t, method, target, "", "Authorization", "Bearer "+readerToken), 403, "operator")
		refused(t, d.ask(t, method, target, "", "Authorization", "Bearer "+operatorToken), 404, "parked-0")
	}
	if w := d.ask(t, "GET", "/", ""); w.Code != http.StatusFound || w.Header().Get("Location") != "docs" {
		t.Errorf("/ without a token: %d, Location %q, want 302 and docs", w.Code, w.Header().Get("Location"))
	}
	for _, target := range []string{"/v1/health", "/openapi.json", "/openapi.yaml"} {
		if w := d.ask(t, "GET", target, ""); w.Code != 200 {
			t.Errorf("%s without a token: %d", target, w.Code)
		}
	}
}

func TestTokensMakeItReachableFromElsewhere(t *testing.T) {
	d := newDesk(t, withTokens())
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://jobs.example.com/v1/kinds", nil) // from 192.0.2.1
	r.Header.Set("Authorization", "Bearer "+readerToken)
	w := httptest.NewRecorder()
	if d.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func TestWithoutTokensOnlyThisMachine(t *testing.T) {
	d := newDesk(t, nil)
	for _, c := range []struct {
		host, from string
		status     int
	}{
		{"127.0.0.1:7433", "127.0.0.1:1", 200},
		{"localhost:7433", "127.0.0.1:1", 200},
		{"LOCALHOST", "[::1]:1", 200},
		{"[::1]:7433", "[::1]:1", 200},
		{"127.8.9.1", "127.0.0.1:1", 200},
		{"rebound.example.com:7433", "127.0.0.1:1", 421}, // a page whose name now points here
		{"localhost.example.com", "127.0.0.1:1", 421},
		{"127.0.0.1.example.com", "127.0.0.1:1", 421},
		{"", "127.0.0.1:1", 421},
		{"127.0.0.1:7433", "192.168.1.7:1", 403},
		{"127.0.0.1:7433", "", 403},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/kinds", nil)
		r.Host, r.RemoteAddr = c.host, c.from
		w := httptest.NewRecorder()
		if d.ServeHTTP(w, r); w.Code != c.status {
			t.Errorf("host %q from %q: status %d, want %d", c.host, c.from, w.Code, c.status)
		}
	}
}

func TestOtherOriginsAreRefused(t *testing.T) {
	d := newDesk(t, nil)
	for _, h := range [][2]string{{"Origin", "https://evil.example.com"}, {"Sec-Fetch-Site", "cross-site"}} {
		refused(t, d.ask(t, "POST", "/v1/sweep", "", h[0], h[1]), 403, "another origin")
	}
	if w := d.ask(t, "POST", "/v1/sweep", "", "Origin", "http://127.0.0.1:7433"); w.Code != 200 {
		t.Errorf("its own origin: %d", w.Code)
	}
}

// A page of another origin cannot even have a server without tokens read or wait. Following a link is no harm.
func TestReadsOfOtherOriginsAreRefusedWithoutTokens(t *testing.T) {
	d := newDesk(t, nil)
	for name, c := range map[string]struct {
		headers []string
		status  int
	}{
		"fetch":            {[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty"}, 403},
		"other port":       {[]string{"Sec-Fetch-Site", "same-site"}, 403},
		"frame":            {[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		"old browser":      {[]string{"Origin", "https://evil.example.com"}, 403},
		"link":             {[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		"its own page":     {[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		"the address line": {[]string{"Sec-Fetch-Site", "none"}, 200},
		"no browser":       {nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range []string{"/v1/jobs", "/v1/kinds", "/docs"} {
				w := d.ask(t, "GET", target, "", c.headers...)
				if w.Code != c.status {
					t.Errorf("%s: status %d, want %d", target, w.Code, c.status)
				}
				if got := w.Header().Get("Cross-Origin-Resource-Policy"); got != "same-origin" {
					t.Errorf("%s: Cross-Origin-Resource-Policy %q, want same-origin", target, got)
				}
			}
		})
	}
	tokens := newDesk(t, withTokens())
	if w := tokens.ask(t, "GET", "/v1/kinds", "", "Sec-Fetch-Site", "cross-site", "Authorization", "Bearer "+readerToken); w.Code != 200 {
		t.Errorf("with a token: status %d, want 200", w.Code)
	}
}

// What a proxy passes on is not of this machine, whatever address it comes from.
func TestWithoutTokensNoProxies(t *testing.T) {
	d := newDesk(t, nil)
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via", "CF-Connecting-IP"} {
		for _, c := range []struct{ method, target, body string }{{"GET", "/v1/jobs", ""}, {"POST", "/v1/jobs", `{"kind":"test.order"}`}} {
			p := refused(t, d.ask(t, c.method, c.target, c.body, name, "203.0.113.7"), 403, "start it with tokens")
			if !strings.Contains(p.Detail, http.CanonicalHeaderKey(name)) {
				t.Errorf("detail %q, want it to name %s", p.Detail, name)
			}
		}
	}
	tokens := newDesk(t, withTokens())
	if w := tokens.ask(t, "GET", "/v1/kinds", "", "X-Forwarded-For", "203.0.113.7", "Authorization", "Bearer "+readerToken); w.Code != 200 {
		t.Errorf("with a token: status %d, want 200", w.Code)
	}
}

func TestTokensAreChecked(t *testing.T) {
	rt := newDesk(t, nil).rt
	good := httpapi.Token{Value: operatorToken, Role: httpapi.Operator, Name: "ops"}
	for _, c := range []struct {
		token httpapi.Token
		text  string
	}{
		{httpapi.Token{Value: "short", Role: httpapi.Reader}, "has 5 characters"},
		{httpapi.Token{Value: "with a space in the middle", Role: httpapi.Reader}, "no spaces"},
		{httpapi.Token{Value: readerToken, Role: "oprator"}, `did you mean "operator"?`},
		{httpapi.Token{Value: readerToken}, "unknown role"},
		{httpapi.Token{Value: operatorToken, Role: httpapi.Reader, Name: "b"}, "tokens ops and b are the same"},
	} {
		_, err := httpapi.New(rt, &httpapi.Options{Tokens: []httpapi.Token{good, c.token}})
		if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v, want it to say %q", c.token, err, c.text)
		} else if strings.Contains(err.Error(), operatorToken) || strings.Contains(err.Error(), readerToken) {
			t.Errorf("the error tells the token: %v", err)
		}
	}
}

func TestListenRefusesOtherAddressesWithoutTokens(t *testing.T) {
	d := newDesk(t, nil)
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0"} {
		if _, err := d.Listen(t.Context(), addr); !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), "without tokens") {
			t.Errorf(`d.Listen: got %s: %v, want errors.Is(err, functions.ErrConfig) && strings.Contains(err.Error(), "without tokens")`, addr, err)
		}
		if _, err := httpapi.Listen(t.Context(), addr, nil); !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), "without tokens") {
			t.Errorf("Listen(%s) = %v, want that it cannot listen there without tokens", addr, err)
		}
	}
	if _, err := d.Listen(t.Context(), "7433"); !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), "host:port") {
		t.Errorf("no host: %v", err)
	}
	ln, err := newDesk(t, withTokens()).Listen(t.Context(), ":0")
	if err != nil {
		t.Fatalf("with tokens: %v", err)
	}
	_ = ln.Close()
	if ln, err = httpapi.Listen(t.Context(), ":0", withTokens().Tokens); err != nil {
		t.Fatalf("Listen with tokens: %v, want no error", err)
	}
	_ = ln.Close()
}

var _ http.Handler = (*httpapi.API)(nil)

// Where the platform knows who asks, it decides for requests that bear no token, wherever they come from.
func TestThePlatformSaysWhoAsks(t *testing.T) {
	platform := func(r *http.Request) (string, httpapi.Role, error) {
		switch who := r.Header.Get("X-Platform"); who {
		case "":
			return "", "", errors.New("let IAM check who asks")
		case "looker":
			return who, httpapi.Reader, nil
		default:
			return who, httpapi.Operator, nil
		}
	}
	const submit = `{"kind":"test.order"}`
	for name, c := range map[string]struct {
		tokens  []httpapi.Token
		refusal int
	}{"tokens": {withTokens().Tokens, 401}, "none": {nil, 403}} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, &httpapi.Options{Tokens: c.tokens, Authenticate: platform})
			host := []string{"Host", "jobs.example.com"} // it need not be this machine
			refused(t, d.ask(t, "POST", "/v1/jobs", submit, host...), c.refusal, "let IAM check")
			refused(t, d.ask(t, "GET", "/v1/jobs", "", host...), c.refusal, "let IAM check")
			refused(t, d.ask(t, "POST", "/v1/jobs", submit, append(host, "X-Platform", "looker")...), 403, "an operator")
			want[any](t, d.ask(t, "GET", "/v1/jobs", "", append(host, "X-Platform", "looker")...), 200)
			want[any](t, d.ask(t, "POST", "/v1/jobs", submit, append(host, "X-Platform", "boss", "Authorization", "AWS4-HMAC-SHA256 x")...), 201)
			want[any](t, d.ask(t, "GET", "/v1/health", "", host...), 200)
			// Who brings a token wants to be judged by it.
			refused(t, d.ask(t, "GET", "/v1/jobs", "", append(host, "X-Platform", "boss", "Authorization", "Bearer nonsense-0123456789")...), 401, "not known")
		})
	}
}
