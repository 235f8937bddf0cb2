package httpapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/store"
)

var update = flag.Bool("update", false, "write openapi.json")

func TestDocumentIsChecked(t *testing.T) {
	got := newDesk(t, nil).ask(t, "GET", "/openapi.json", "")
	if *update {
		if err := os.WriteFile("openapi.json", got.Body.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Body.Bytes(), golden) {
		t.Error("openapi.json is not what is served; if the change is meant: go test ./functions/httpapi -run Document -update")
	}
}

func TestDocumentIsServedAsYAMLToo(t *testing.T) {
	w := newDesk(t, nil).ask(t, "GET", "/openapi.yaml", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "openapi: 3.1.0") {
		t.Errorf(`got %d: %.200s, want w.Code == 200 && strings.Contains(w.Body.String(), "openapi: 3.1.0")`, w.Code, w.Body)
	}
}

// Every route that is served is described, and every schema that is referred to is there.
func TestDocumentIsComplete(t *testing.T) {
	d := newDesk(t, nil)
	var missing []string
	for _, c := range routes {
		path, _, _ := strings.Cut(strings.Replace(c.target, "/test.order", "/{kind}", 1), "?")
		if operation(d.Document(), c.method, path) == nil {
			missing = append(missing, c.method+" "+path)
		}
	}
	if operation(d.Document(), "GET", "/v1/jobs/{id}/outputs/{name}") == nil || operation(d.Document(), "GET", "/v1/health") == nil {
		missing = append(missing, "outputs or health")
	}
	if len(missing) > 0 {
		t.Errorf("not described: %v", missing)
	}
	text := d.ask(t, "GET", "/openapi.json", "").Body.String()
	var doc struct {
		Paths      map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(text, `"#/components/schemas/`)[1:] {
		if name, _, _ := strings.Cut(part, `"`); doc.Components.Schemas[name] == nil {
			t.Errorf("schema %q is referred to, but not there", name)
		}
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			r := httptest.NewRequest(strings.ToUpper(method), strings.NewReplacer("{id}", "job-1", "{name}", "a", "{kind}", "b").Replace(path), nil)
			if d.Pattern(r) == "" {
				t.Errorf("%s %s is described, but not served", method, path)
			}
		}
	}
}

// The codes of problems are those of the table of errors.
func TestDocumentListsTheErrorCodes(t *testing.T) {
	code := newDesk(t, nil).Document().Components.Schemas.Map()["Problem"].Properties["code"]
	var names []string
	for _, name := range code.Enum {
		names = append(names, name.(string))
	}
	if want := functions.ErrorCodes(); !slices.Equal(names, want) {
		t.Errorf("the enum of code = %q, want %q", names, want)
	}
	for _, err := range []error{store.ErrNotFound, functions.ErrInvalid, store.ErrUnavailable, functions.ErrKeyConflict} {
		if name := functions.ErrorCode(err); !slices.Contains(names, name) {
			t.Errorf("the enum of code lacks %q, the code of %q", name, err)
		}
	}
}

// operation returns what describes a route.
func operation(doc *huma.OpenAPI, method, path string) *huma.Operation {
	item := doc.Paths[path]
	switch {
	case item == nil:
		return nil
	case method == http.MethodPost:
		return item.Post
	default:
		return item.Get
	}
}

// conforms checks an answer against the document's schema for its route and status.
func conforms(t testing.TB, api *httpapi.API, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	media, _, _ := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if media != "application/json" && media != "application/problem+json" || r.Method == http.MethodHead {
		return
	}
	_, path, _ := strings.Cut(api.Pattern(r), " ")
	op := operation(api.Document(), r.Method, strings.Replace(path, "...", "", 1))
	if op == nil {
		return // there is no such route
	}
	response := op.Responses[strconv.Itoa(w.Code)]
	if response == nil {
		response = op.Responses["default"]
	}
	content := response.Content[media]
	if content == nil {
		if strings.Contains(path, "outputs/") {
			return // a file of a job
		}
		t.Fatalf("%s %s: %d with %s is not described", r.Method, r.URL.Path, w.Code, media)
	}
	var body any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	result := &huma.ValidateResult{}
	huma.Validate(api.Document().Components.Schemas, content.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, body, result)
	for _, err := range result.Errors {
		t.Errorf("%s %s: the answer %s does not fit its description: %v", r.Method, r.URL.Path, w.Body, err)
	}
}

// The page for people shows every operation and form, and loads nothing from anywhere.
func TestDocsPage(t *testing.T) {
	d := newDesk(t, nil)
	w := d.ask(t, "GET", "/docs", "")
	text := w.Body.String()
	if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf(`got %d, %v, want w.Code == http.StatusOK && strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'")`, w.Code, w.Header())
	}
	for path, item := range d.Document().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Delete} {
			if op != nil && !strings.Contains(text, `id="`+op.OperationID+`"`) {
				t.Errorf("%s %s is not shown", op.Method, path)
			}
		}
	}
	for _, link := range strings.Split(text, `href="#`)[1:] {
		if id, _, _ := strings.Cut(link, `"`); !strings.Contains(text, `id="`+id+`"`) {
			t.Errorf("link to %q, which is not there", id)
		}
	}
	if strings.Contains(text, "://") || strings.Contains(text, "<script") {
		t.Error("the page loads something")
	}
}

// Whatever is asked, the server refuses it or answers it, and what it answers fits the document.
func FuzzRequests(f *testing.F) {
	d := newDesk(f, &httpapi.Options{WaitMax: time.Millisecond})
	for _, c := range routes {
		f.Add(c.method == http.MethodPost, c.target, c.body)
	}
	f.Add(false, "/v1/jobs?cursor=MDAwMDAwMDB-&limit=1", "")
	f.Add(false, "/v1/parked?cursor=%00", "")
	f.Add(false, "/v1/jobs/job-1/outputs/..%2f..", "")
	f.Add(true, "/v1/jobs", `{"kind":"test.order","at":"9999-12-31T23:59:59.999999999+14:00","key":"\u0000","delay":"2540400h"}`)
	f.Add(true, "/v1/jobs", `{"kind":"test.order","at":"9999-12-31T23:59:59-12:00","retention":"1ns","queue":"submit"}`)
	f.Add(true, "/v1/jobs", "{\"kind\":\"test.order\",\"key\":\"M\xfcller\",\"tags\":[\"\\ud83d\"]}")
	f.Add(false, "/v1/jobs/job-%00/outputs/%ff", "")
	f.Fuzz(func(t *testing.T, post bool, target, body string) {
		if u, err := url.Parse("http://127.0.0.1:7433" + target); err != nil || u.Host != "127.0.0.1:7433" {
			return
		}
		method := http.MethodGet
		if post {
			method = http.MethodPost
		}
		w := d.ask(t, method, target, body)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("got %s %s %s: %d %s, want w.Code < http.StatusInternalServerError", method, target, body, w.Code, w.Body)
		}
	})
}
