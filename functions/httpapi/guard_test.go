package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

func TestUnknownRoutesAndMethods(t *testing.T) {
	d := newDesk(t, nil)
	refused(t, d.ask(t, "GET", "/v2/jobs", ""), 404, `there is no route "/v2/jobs"; GET /openapi.json lists them`)
	w := d.ask(t, "DELETE", "/v1/jobs", "")
	refused(t, w, 405, "DELETE is not possible here; possible are GET, HEAD, POST")
	if w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("Allow %q", w.Header().Get("Allow"))
	}
	refused(t, newDesk(t, &httpapi.Options{NoSweep: true}).ask(t, "POST", "/v1/sweep", ""), 404, "no route")
}

func TestBodyLimits(t *testing.T) {
	d := newDesk(t, &httpapi.Options{MaxBody: 1000})
	fill := func(n int) string {
		body := `{"kind":"test.order","args":{"item":"`
		return body + strings.Repeat("x", n-len(body)-3) + `"}}`
	}
	want[functions.Receipt](t, d.ask(t, "POST", "/v1/jobs", fill(1000)), 201)
	if p := refused(t, d.ask(t, "POST", "/v1/jobs", fill(1001)), 413, "longer than 1000 bytes"); p.Code != "too_large" {
		t.Errorf("code %q", p.Code)
	}
	refused(t, d.ask(t, "POST", "/v1/jobs", fill(5000)), 413, "longer than 1000 bytes")
}

func TestMediaTypes(t *testing.T) {
	d := newDesk(t, nil)
	for _, media := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		p := refused(t, d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order"}`, "Content-Type", media), 415, "send application/json")
		if strings.Contains(p.Detail, "test.order") {
			t.Errorf("the body comes back: %s", p.Detail)
		}
	}
	for _, media := range []string{"application/json; charset=utf-8", "application/json", "Application/JSON; charset=UTF-8"} {
		want[functions.Receipt](t, d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order"}`, "Content-Type", media), 201)
	}
}

func TestRequestIDs(t *testing.T) {
	var log bytes.Buffer
	d := newDesk(t, &httpapi.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if w := d.ask(t, "GET", "/v1/kinds", "", "X-Request-ID", "from-the-caller"); w.Header().Get("X-Request-ID") != "from-the-caller" {
		t.Errorf("request id %q", w.Header().Get("X-Request-ID"))
	}
	for _, id := range []string{"", strings.Repeat("x", 65), "two words", "tab\t"} {
		if got := d.ask(t, "GET", "/v1/kinds", "", "X-Request-ID", id).Header().Get("X-Request-ID"); len(got) != 36 {
			t.Errorf("request id %q for %q", got, id)
		}
	}
	if text := log.String(); !strings.Contains(text, `request=from-the-caller method=GET route="GET /v1/kinds"`) {
		t.Errorf("log: %s", text)
	}
}

func TestInternalErrorsStayInTheLog(t *testing.T) {
	var log bytes.Buffer
	d := newDesk(t, &httpapi.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	_ = d.bucket.Close()
	w := d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order","args":{"item":"`+strings.Repeat("x", 50_000)+`"}}`)
	p := refused(t, w, 500, "its log says more under request")
	if strings.Contains(w.Body.String(), "ucket") || !strings.Contains(log.String(), p.Request) || !strings.Contains(log.String(), "ucket") {
		t.Errorf("answer: %s\nlog: %s", w.Body, log.String())
	}
}

// A job that is there and whose file is lost is no job that is not there, and its callers are not told where files are.
func TestLostFilesAreAFaultOfTheServer(t *testing.T) {
	var log bytes.Buffer
	d := newDesk(t, &httpapi.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	id := d.submit(t, `{"kind":"test.order","args":{"item":"`+strings.Repeat("x", 50_000)+`"}}`)
	file, err := d.bucket.List(nil).Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.bucket.Delete(t.Context(), file.Key); err != nil {
		t.Fatal(err)
	}
	w := d.ask(t, "GET", "/v1/jobs/"+id, "")
	p := refused(t, w, 500, "its log says more under request")
	if strings.Contains(w.Body.String(), file.Key) || !strings.Contains(log.String(), p.Request) || !strings.Contains(log.String(), file.Key) {
		t.Errorf("answer: %s\nlog: %s\nwant %s in the log only", w.Body, log.String(), file.Key)
	}
}

func TestPanicsBecomeProblems(t *testing.T) {
	var log bytes.Buffer
	d := newDesk(t, &httpapi.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	crash := func() uint64 { panic("out of numbers") }
	d.random.Store(&crash)
	w := d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order"}`)
	refused(t, w, 500, "its log says more")
	if strings.Contains(w.Body.String(), "numbers") || !strings.Contains(log.String(), "out of numbers") || !strings.Contains(log.String(), "guard.go") {
		t.Errorf("answer: %s\nlog: %s", w.Body, log.String())
	}
}

func TestStoreThatIsDown(t *testing.T) {
	d := newDesk(t, nil)
	id := d.submit(t, `{"kind":"test.order"}`)
	_ = d.coll.Close()
	for _, target := range []string{"/v1/jobs/" + id, "/v1/kinds"} {
		w := d.ask(t, "GET", target, "")
		if p := refused(t, w, 503, "the store does not answer"); p.Code != "unavailable" || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: code %q, Retry-After %q", target, p.Code, w.Header().Get("Retry-After"))
		}
	}
	refused(t, d.ask(t, "GET", "/v1/health", ""), 503, "the store does not answer")
}

func TestClosedRuntime(t *testing.T) {
	d := newDesk(t, nil)
	_ = d.rt.Close()
	if p := refused(t, d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order"}`), 503, "try again"); p.Code != "shut_down" {
		t.Errorf("code %q", p.Code)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	rt := newDesk(t, nil).rt
	if _, err := httpapi.New(rt, &httpapi.Options{MaxBody: -1}); !errors.Is(err, functions.ErrConfig) {
		t.Errorf("negative: %v", err)
	}
	if _, err := httpapi.New(nil, nil); !errors.Is(err, functions.ErrConfig) {
		t.Errorf("no runtime: %v", err)
	}
}

// Every counter of the runtime is told.
func TestStatsAreComplete(t *testing.T) {
	told := reflect.TypeFor[wire.Stats]()
	for f := range reflect.TypeFor[functions.Stats]().Fields() {
		if _, ok := told.FieldByName(f.Name); !ok {
			t.Errorf("wire.Stats lacks %s", f.Name)
		}
	}
}

func TestServeEndsWaitsAndFinishes(t *testing.T) {
	arrived := make(chan struct{}, 1)
	d := newDesk(t, &httpapi.Options{Authenticate: func(r *http.Request) (string, httpapi.Role, error) {
		if strings.Contains(r.URL.Path, "/wait") {
			arrived <- struct{}{}
		}
		return "test", httpapi.Operator, nil
	}, Tokens: withTokens().Tokens})
	id := want[functions.Receipt](t, d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order"}`), 201).ID
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := newDesk(t, nil).Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, ln) }()
	answer := make(chan string, 1)
	go func() {
		ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String()+"/v1/jobs/"+id+"/wait?timeout=60s", nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		r, err := http.DefaultClient.Do(ask)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		answer <- string(body)
	}()
	<-arrived // whether it hangs already does not matter to what follows
	cancel()
	if got := <-answer; !strings.HasPrefix(got, `{"done":false,"job":{`) {
		t.Errorf("the wait got %s", got)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// A caller that sends its body too slowly is told so, and does not keep the server.
func TestSlowBody(t *testing.T) {
	// As long after that the answer must have been written, and a busy machine may take its time to.
	d := newDesk(t, &httpapi.Options{Timeout: time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := d.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, ln) }()
	r, w := io.Pipe()
	defer w.Close()
	ask, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+ln.Addr().String()+"/v1/jobs", r)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("Content-Type", "application/json")
	go io.WriteString(w, `{"kind":`)
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d", answer.StatusCode)
	}
	answer.Body.Close()
	cancel()
	<-served
}

// timed is an answer that notes until when the request's body may come.
type timed struct {
	*httptest.ResponseRecorder

	until time.Time
}

// SetReadDeadline takes note of one.
func (w *timed) SetReadDeadline(t time.Time) error { w.until = t; return nil }

// A body that does not come keeps no request for ever, also one that nobody reads: net/http waits for that too.
func TestNoRequestWaitsForABodyForEver(t *testing.T) {
	d := newDesk(t, &httpapi.Options{Tokens: []httpapi.Token{{Value: "operator-0123456789", Role: httpapi.Operator}}})
	for path, status := range map[string]int{"/v1/health": 200, "/v1/jobs": 401} {
		rec := &timed{httptest.NewRecorder(), time.Time{}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, strings.NewReader("{}"))
		d.ServeHTTP(rec, r)
		if left := time.Until(rec.until); rec.Code != status || left < 30*time.Second || left > 45*time.Second {
			t.Errorf("%s: status %d, %v for the body", path, rec.Code, left)
		}
	}
}
