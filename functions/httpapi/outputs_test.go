package httpapi_test

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions/httpapi/wire"
)

func TestOutputs(t *testing.T) {
	d := newDesk(t, nil)
	id := d.submit(t, `{"kind":"test.files"}`)
	list := want[wire.Outputs](t, d.ask(t, "GET", "/v1/jobs/"+id+"/outputs", ""), 200)
	if len(list.Outputs) != 0 {
		t.Errorf("outputs of a queued job: %+v", list.Outputs)
	}
	refused(t, d.ask(t, "GET", "/v1/jobs/"+id+"/outputs/big.txt", ""), 404, "visible when it has succeeded")
	d.kit.Drain()
	list = want[wire.Outputs](t, d.ask(t, "GET", "/v1/jobs/"+id+"/outputs", ""), 200)
	if len(list.Outputs) != 4 {
		t.Fatalf("outputs %+v", list.Outputs)
	}
	big := "/v1/jobs/" + id + "/outputs/big.txt"
	w := d.ask(t, "GET", big, "")
	if w.Code != 200 || w.Body.String() != letters {
		t.Fatalf("status %d, %d bytes", w.Code, w.Body.Len())
	}
	for name, value := range map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "Content-Disposition": "attachment; filename=big.txt",
		"Content-Length": "1040", "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	etag := w.Header().Get("ETag")
	for _, o := range list.Outputs {
		if o.Name == "big.txt" && etag != `"`+o.SHA256+`"` {
			t.Errorf("ETag %s, sha256 %s", etag, o.SHA256)
		}
	}
	if w := d.ask(t, "HEAD", big, ""); w.Code != 200 || w.Header().Get("Content-Length") != "1040" {
		t.Errorf("HEAD: %d, %v", w.Code, w.Header())
	}
	if w := d.ask(t, "GET", big, "", "If-None-Match", etag); w.Code != 304 {
		t.Errorf("If-None-Match: %d", w.Code)
	}
	if w := d.ask(t, "GET", "/v1/jobs/"+id+"/outputs/empty", ""); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("empty: %d, %d bytes", w.Code, w.Body.Len())
	}
	for _, name := range []string{"eu/berlin.json", "eu%2Fberlin.json"} {
		if w := d.ask(t, "GET", "/v1/jobs/"+id+"/outputs/"+name, ""); w.Code != 200 || w.Body.String() != `{"a":1}` {
			t.Errorf("d.ask: got %s: %d %s, want w.Code == 200 && w.Body.String() == `{\"a\":1}`", name, w.Code, w.Body)
		}
	}
	w = d.ask(t, "GET", "/v1/jobs/"+id+"/outputs/gr%C3%BC%C3%9Fe.html", "")
	if w.Code != 200 || w.Header().Get("Content-Disposition") != "attachment; filename*=utf-8''gr%C3%BC%C3%9Fe.html" {
		t.Errorf("grüße.html: %d, %q", w.Code, w.Header().Get("Content-Disposition"))
	}
	if !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") {
		t.Error("a page that a job wrote could run scripts as this server's")
	}
	refused(t, d.ask(t, "GET", "/v1/jobs/"+id+"/outputs/bigg.txt", ""), 404, `did you mean "big.txt"?`)
	refused(t, d.ask(t, "GET", "/v1/jobs/"+id+"/outputs/", ""), 404, "no such output")
	refused(t, d.ask(t, "GET", "/v1/jobs/job-x/outputs/a", ""), 404, "no such job")
	refused(t, d.ask(t, "GET", "/v1/jobs/kinds/outputs", ""), 404, "no such job")
	refused(t, d.ask(t, "GET", big+"?range=1", ""), 400, "no query parameters")
	refused(t, d.ask(t, "DELETE", big, ""), 405, "DELETE is not possible here; possible are GET, HEAD")
}

func TestOutputThatCannotBeReadIsRefused(t *testing.T) {
	d := newDesk(t, nil)
	id := d.submit(t, `{"kind":"test.files"}`)
	d.kit.Drain()
	for list := d.bucket.List(nil); ; {
		blob, err := list.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err := errors.Join(err, d.bucket.Delete(t.Context(), blob.Key)); err != nil {
			t.Fatal(err)
		}
	}
	for _, ranges := range []string{"", "bytes=10-20"} {
		w := d.ask(t, "GET", "/v1/jobs/"+id+"/outputs/big.txt", "", "Range", ranges)
		refused(t, w, 500, `output "big.txt" cannot be read from the blob store; the server's log says why`)
		for _, name := range []string{"ETag", "Content-Disposition", "Content-Range", "Content-Length"} {
			if got := w.Header().Get(name); got != "" {
				t.Errorf("range %q: %s = %q, want none in a refusal", ranges, name, got)
			}
		}
	}
}

func TestOutputRanges(t *testing.T) {
	d := newDesk(t, nil)
	id := d.submit(t, `{"kind":"test.files"}`)
	d.kit.Drain()
	ask := func(headers ...string) *httptest.ResponseRecorder {
		return d.ask(t, "GET", "/v1/jobs/"+id+"/outputs/big.txt", "", headers...)
	}
	for header, part := range map[string]string{
		"bytes=0-0": letters[:1], "bytes=26-51": letters[26:52], "bytes=1000-": letters[1000:],
		"bytes=-5": letters[len(letters)-5:], "bytes=1039-9999": letters[1039:],
	} {
		w := ask("Range", header)
		if w.Code != 206 || w.Body.String() != part || !strings.HasSuffix(w.Header().Get("Content-Range"), "/1040") {
			t.Errorf(`got %s: %d, %q, %s, want w.Code == 206 && w.Body.String() == part && strings.HasSuffix(w.Header().Get("Content-Range"), "/1040")`, header, w.Code, w.Body, w.Header().Get("Content-Range"))
		}
	}
	w := ask("Range", "bytes=0-1,5-6")
	if w.Code != 206 || !strings.HasPrefix(w.Header().Get("Content-Type"), "multipart/byteranges") ||
		!strings.Contains(w.Body.String(), "\r\nfg\r\n") {
		t.Errorf("two ranges: %d, %s, %q", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	if w := ask("Range", "bytes=0-0,3-3,6-6,9-9,12-12,15-15,18-18,21-21"); w.Code != 206 {
		t.Errorf("eight ranges: %d, want 206", w.Code)
	}
	for _, header := range []string{"bytes=0-0" + strings.Repeat(",3-3", 8), "bytes=0-0" + strings.Repeat(",3-3", 1000), "bytes=1040-", "bytes=5-2", "lines=1-2", "bytes=x"} {
		w := ask("Range", header)
		refused(t, w, 416, "the output has 1040 bytes")
		if w.Header().Get("ETag") != "" || w.Header().Get("Content-Disposition") != "" {
			t.Errorf("%s: the refusal has the file's headers: %v", header, w.Header())
		}
	}
	if w := ask("Range", "bytes=0-1", "If-Range", `"other"`); w.Code != 200 || w.Body.Len() != 1040 {
		t.Errorf("If-Range of another file: %d, %d bytes", w.Code, w.Body.Len())
	}
}
