package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/store"
)

// desk is an API over a system in memory whose jobs run when the test says so.
type desk struct {
	*httpapi.API
	kit    *kit.Kit
	rt     *functions.Runtime
	bucket *blob.Bucket
	coll   *docstore.Collection
	random atomic.Pointer[func() uint64] // replaces random numbers
}

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

// letters is what the output big.txt of a test.files job holds.
var letters = strings.Repeat("abcdefghijklmnopqrstuvwxyz", 40)

func kinds() *functions.Registry {
	reg := functions.NewRegistry()
	functions.Handle(reg, "test.order", func(_ context.Context, j *functions.Job[order]) (order, error) {
		if j.Args.Item == "bad" {
			return order{}, functions.Permanent(errors.New("item is bad"))
		}
		return j.Args, nil
	})
	functions.Handle(reg, "test.files", func(ctx context.Context, j *functions.Job[any]) (int, error) {
		for name, text := range map[string]string{"big.txt": letters, "eu/berlin.json": `{"a":1}`, "grüße.html": "<p>", "empty": ""} {
			w, err := j.Output(ctx, name)
			if err != nil {
				return 0, err
			}
			if _, err := io.WriteString(w, text); err != nil {
				return 0, err
			}
		}
		return 4, nil
	})
	return reg
}

func newDesk(t testing.TB, opts *httpapi.Options) *desk {
	t.Helper()
	return newDeskOf(t, kinds(), opts)
}

// newDeskOf is newDesk with other kinds.
func newDeskOf(t testing.TB, reg *functions.Registry, opts *httpapi.Options) *desk {
	t.Helper()
	d := &desk{}
	d.kit = kit.New(t, reg, kit.WallClock(), kit.Store(store.Options{Patience: 50 * time.Millisecond}),
		kit.Config(functions.Config{MaxArgs: 100_000, Rand: func() uint64 {
			if f := d.random.Load(); f != nil {
				return (*f)()
			}
			return rand.Uint64()
		}}))
	d.rt, d.bucket, d.coll = d.kit.Runtime(), d.kit.Bucket(), d.kit.Records()
	if opts == nil {
		opts = &httpapi.Options{}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	var err error
	if d.API, err = httpapi.New(d.rt, opts); err != nil {
		t.Fatal(err)
	}
	return d
}

// ask sends a request from this machine and returns the answer.
func (d *desk) ask(t testing.TB, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:7433"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "127.0.0.1:50000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	conforms(t, d.API, r, w)
	return w
}

// want decodes an answer that must have the status.
func want[T any](t testing.TB, w *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var v T
	if w.Code != status {
		t.Fatalf("status %d, want %d; body: %s", w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return v
}

// refused checks that an answer is a complete problem whose detail has the text.
func refused(t testing.TB, w *httptest.ResponseRecorder, status int, text string) wire.Problem {
	t.Helper()
	p := want[wire.Problem](t, w, status)
	switch {
	case w.Header().Get("Content-Type") != wire.ProblemType:
		t.Errorf("Content-Type %q, want %s", w.Header().Get("Content-Type"), wire.ProblemType)
	case p.Status != status, p.Title == "", p.Detail == "", p.Type != "about:blank":
		t.Errorf("incomplete problem: %s", w.Body)
	case p.Request == "" || p.Request != w.Header().Get("X-Request-ID"):
		t.Errorf("request id %q in the body, %q in the header", p.Request, w.Header().Get("X-Request-ID"))
	case !strings.Contains(p.Detail, text):
		t.Errorf("detail %q, want it to say %q", p.Detail, text)
	}
	return p
}

// submit submits a job and returns its id.
func (d *desk) submit(t testing.TB, body string) string {
	t.Helper()
	return want[functions.Receipt](t, d.ask(t, http.MethodPost, "/v1/jobs", body), http.StatusCreated).ID
}
