package httpapi_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/piecework/piecework/functions/httpapi"
)

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
