package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// Waits beyond the bound are answered at once with the job as it is, and the others are not disturbed.
func TestWaitsHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, &httpapi.Options{MaxWaits: 2})
		id := d.submit(t, `{"kind":"test.order"}`)
		d.kit.Messages() // so that it does not run
		ended := d.submit(t, `{"kind":"test.order","args":{"item":"`+strings.Repeat("x", 50_000)+`"}}`)
		d.kit.Drain()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				start := time.Now()
				if got := want[wire.Waited](t, d.ask(t, "GET", "/v1/jobs/"+id+"/wait?timeout=10s", ""), 200); got.Done || time.Since(start) != 10*time.Second {
					t.Errorf("a wait within the bound: done %v after %v, want false after 10s", got.Done, time.Since(start))
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		w := d.ask(t, "GET", "/v1/jobs/"+id+"/wait?timeout=10s", "")
		if got := want[wire.Waited](t, w, 200); got.Done || got.Job.ID != id || time.Since(start) != 0 || w.Header().Get("Retry-After") == "" {
			t.Errorf("beyond the bound: done %v, job %q after %v, Retry-After %q; want false at once", got.Done, got.Job.ID, time.Since(start), w.Header().Get("Retry-After"))
		}
		w = d.ask(t, "GET", "/v1/jobs/"+ended+"/wait", "")
		if got := want[wire.Waited](t, w, 200); !got.Done || len(got.Job.Result) < 50_000 || w.Header().Get("Retry-After") != "" {
			t.Errorf("beyond the bound, ended: done %v, %d bytes of result, Retry-After %q", got.Done, len(got.Job.Result), w.Header().Get("Retry-After"))
		}
		refused(t, d.ask(t, "GET", "/v1/jobs/job-unknown/wait", ""), 404, "no such job")
		wg.Wait()
		start = time.Now()
		if want[wire.Waited](t, d.ask(t, "GET", "/v1/jobs/"+id+"/wait?timeout=3s", ""), 200); time.Since(start) != 3*time.Second {
			t.Errorf("when the others have gone a wait hangs for %v, want 3s", time.Since(start))
		}
	})
}

// standing is a reader that reads nothing: writes fail when their deadline comes.
type standing struct {
	*httptest.ResponseRecorder

	deadline time.Time
}

// SetWriteDeadline notes until when a write may take.
func (w *standing) SetWriteDeadline(t time.Time) error { w.deadline = t; return nil }

// Write stands still until the deadline.
func (w *standing) Write([]byte) (int, error) {
	<-time.After(time.Until(w.deadline))
	return 0, os.ErrDeadlineExceeded
}

// So many lists are made at once, so many requests wait for that, and the rest is told to come again. Readers that stand
// still do not keep the others out for long.
func TestListsHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := newDesk(t, &httpapi.Options{MaxLists: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
		d.submit(t, `{"kind":"test.order"}`)
		stand := func() {
			defer func() {
				if crashed := recover(); crashed != nil && crashed != http.ErrAbortHandler { //nolint:errorlint // a panic's value
					t.Errorf("a reader that stands still ends with %v, want http.ErrAbortHandler", crashed)
				}
			}()
			r := httptest.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1:7433/v1/jobs", nil)
			r.RemoteAddr = "127.0.0.1:1"
			d.ServeHTTP(&standing{ResponseRecorder: httptest.NewRecorder()}, r)
		}
		var wg sync.WaitGroup
		wg.Go(stand)
		synctest.Wait()
		start := time.Now()
		for range 8 {
			wg.Go(func() {
				want[functions.List](t, d.ask(t, "GET", "/v1/jobs", ""), 200)
				if took := time.Since(start); took > 11*time.Second {
					t.Errorf("a list waited %v for a reader that stands still, want 10s", took)
				}
			})
		}
		synctest.Wait()
		for _, target := range []string{"/v1/jobs", "/v1/parked"} {
			w := d.ask(t, "GET", target, "")
			if refused(t, w, 503, "makes 1 lists at once"); w.Header().Get("Retry-After") == "" || time.Since(start) != 0 {
				t.Errorf("%s: Retry-After %q after %v, want one at once", target, w.Header().Get("Retry-After"), time.Since(start))
			}
		}
		want[wire.Kinds](t, d.ask(t, "GET", "/v1/kinds", ""), 200)
		wg.Wait()
		for range 5 {
			wg.Go(stand)
		}
		synctest.Wait()
		start = time.Now()
		refused(t, d.ask(t, "GET", "/v1/jobs", ""), 503, "try again")
		if took := time.Since(start); took > 23*time.Second {
			t.Errorf("a list waited %v for its turn, want half of Timeout", took)
		}
		wg.Wait()
		if text := log.String(); strings.Contains(text, "ERROR") || !strings.Contains(text, `msg="answer not taken"`) {
			t.Errorf("readers that stand still are no error of the server's; the log: %s", text)
		}
	})
}

func TestBodiesThatAreCodedAreRefused(t *testing.T) {
	d := newDesk(t, nil)
	for _, coding := range []string{"gzip", "br", "identity, gzip"} {
		w := d.ask(t, "POST", "/v1/jobs", "\x1f\x8b\x08", "Content-Encoding", coding)
		if refused(t, w, 415, fmt.Sprintf("the Content-Encoding is %q", coding)); w.Header().Get("Accept-Encoding") != "identity" {
			t.Errorf("%s: Accept-Encoding %q, want identity", coding, w.Header().Get("Accept-Encoding"))
		}
	}
	want[functions.Receipt](t, d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order"}`, "Content-Encoding", "Identity"), 201)
}

// A refusal quotes the request in part only, however long that is.
func TestRefusalsAreShort(t *testing.T) {
	d := newDesk(t, nil)
	long := strings.Repeat("x", 4<<20)
	for name, body := range map[string]string{
		"field":         `{"kind":"test.order","` + long + `":1}`,
		"field of args": `{"kind":"test.order","args":{"` + long[:90_000] + `":1}}`,
		"kind":          `{"kind":"` + long + `"}`,
		"at":            `{"kind":"test.order","at":"` + long + `"}`,
		"delay":         `{"kind":"test.order","delay":"` + long + `"}`,
		"many fields": `{"kind":"test.order"` + strings.Repeat(`,"a":1`, 1) + func() string {
			var b strings.Builder
			for i := range 50_000 {
				fmt.Fprintf(&b, `,"x%d":1`, i)
			}
			return b.String()
		}() + `}`,
		"no JSON": long,
	} {
		t.Run(name, func(t *testing.T) {
			w := d.ask(t, "POST", "/v1/jobs", body)
			if w.Code < 400 || w.Code >= 500 || w.Body.Len() > 20_000 {
				t.Errorf("status %d with %d bytes, want 4xx with at most 20000", w.Code, w.Body.Len())
			}
		})
	}
	p := refused(t, d.ask(t, "POST", "/v1/jobs/batch", `{"jobs":[`+strings.Repeat(`{},`, 999)+`{}]}`), 422, "(and 999 more, see errors)")
	if len(p.Errors) != 20 {
		t.Errorf("%d faults, want 20", len(p.Errors))
	}
}

// broken is a body whose sender goes away.
type broken struct{ text io.Reader }

// Read reads what came.
func (b broken) Read(p []byte) (int, error) {
	n, err := b.text.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// A caller that goes away is no error of the server's.
func TestCallersThatGoAway(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		method string
		body   io.Reader
		status int
	}{
		"within the body": {t.Context(), "POST", broken{strings.NewReader(`{"kind":`)}, 400},
		"before the body": {t.Context(), "POST", broken{strings.NewReader("")}, 400},
		"before the end":  {gone, "GET", http.NoBody, 499},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			d := newDesk(t, &httpapi.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			r := httptest.NewRequestWithContext(c.ctx, c.method, "http://127.0.0.1:7433/v1/jobs", c.body)
			r.RemoteAddr = "127.0.0.1:1"
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			d.ServeHTTP(w, r)
			if w.Code != c.status || strings.Contains(log.String(), "ERROR") || strings.Contains(log.String(), "WARN") {
				t.Errorf("status %d: %s, want %d; the log: %s", w.Code, w.Body, c.status, log.String())
			}
		})
	}
}

// once is an answer whose final status is set more often than net/http takes without a complaint.
type once struct {
	*httptest.ResponseRecorder

	set []int
}

// WriteHeader takes note of the status.
func (w *once) WriteHeader(status int) {
	w.set = append(w.set, status)
	w.ResponseRecorder.WriteHeader(status)
}

// A refusal sets its status once, also that of a body that breaks off.
func TestTheStatusIsSetOnce(t *testing.T) {
	d := newDesk(t, nil)
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:7433/v1/jobs", broken{strings.NewReader(`{"kind":`)})
	r.RemoteAddr = "127.0.0.1:1"
	w := &once{ResponseRecorder: httptest.NewRecorder()}
	d.ServeHTTP(w, r)
	if !slices.Equal(w.set, []int{400}) {
		t.Errorf("the status was set to %v, want 400 once", w.set)
	}
}

// An output is read without its job's arguments.
func TestOutputsAreReadWithoutArguments(t *testing.T) {
	d := newDesk(t, nil)
	id := d.submit(t, `{"kind":"test.files","args":"`+strings.Repeat("x", 50_000)+`"}`)
	d.kit.Drain()
	for it := d.bucket.List(nil); ; {
		o, err := it.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(o.Key, "args") {
			if err := d.bucket.Delete(t.Context(), o.Key); err != nil {
				t.Fatal(err)
			}
		}
	}
	refused(t, d.ask(t, "GET", "/v1/jobs/"+id, ""), 500, "its log says more")
	want[wire.Outputs](t, d.ask(t, "GET", "/v1/jobs/"+id+"/outputs", ""), 200)
	if w := d.ask(t, "GET", "/v1/jobs/"+id+"/outputs/big.txt", ""); w.Code != 200 || w.Body.String() != letters {
		t.Errorf("status %d with %d bytes, want 200 with %d", w.Code, w.Body.Len(), len(letters))
	}
}
