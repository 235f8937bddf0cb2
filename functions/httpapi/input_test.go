package httpapi_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

func TestBodiesAreReadAsTheyWereWrittenOrRefused(t *testing.T) {
	d := newDesk(t, nil)
	held := d.submit(t, `{"kind":"test.order","held":true}`)
	for target, bodies := range map[string][]string{
		"/v1/jobs": {
			"{\"kind\":\"test.order\",\"key\":\"M\xfcller\"}", `{"kind":"test.order","key":"M\ud83dller"}`, `{"kind":"test.order","tags":["\udc00"]}`,
			"{\"kind\":\"test.order\",\"args\":{\"item\":\"\xff\"}}",
		},
		"/v1/jobs/batch":               {"{\"jobs\":[{\"kind\":\"test.order\",\"key\":\"M\xf6ller\"}]}", `{"jobs":[{"kind":"test.order","key":"\ud83d"}]}`},
		"/v1/jobs/" + held + "/cancel": {"{\"reason\":\"M\xfcller\"}", `{"reason":"\ud83d"}`},
		"/v1/sweep":                    {"{\"for\":\"\xff\"}"},
	} {
		for _, body := range bodies {
			p := refused(t, d.ask(t, "POST", target, body), http.StatusBadRequest, "text that JSON cannot carry")
			if p.Code != "invalid" {
				t.Errorf("%s %q: code %q, want invalid", target, body, p.Code)
			}
		}
	}
	refused(t, d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order"}`, "Idempotency-Key", "M\xfcller"), 400, "is not UTF-8")
	refused(t, d.ask(t, "GET", "/v1/jobs?tag=M%fcller", ""), 400, "and UTF-8")
	list := want[functions.List](t, d.ask(t, "GET", "/v1/jobs", ""), 200)
	if len(list.Jobs) != 1 || list.Jobs[0].State != store.Held {
		t.Errorf("jobs %+v, want the held one alone", list.Jobs)
	}
	d.submit(t, `{"kind":"test.files","key":"M\u00fcller \ud83d\ude00","args":{"halves":["\ud83d","x"]}}`)
}

func TestMembersThatAreGivenTwiceAreRefused(t *testing.T) {
	d := newDesk(t, nil)
	held := d.submit(t, `{"kind":"test.files","held":true,"args":{"a":1,"a":2}}`) // arguments are kept as they are
	for _, c := range [][3]string{
		{"/v1/jobs", `{"kind":"test.files","kind":"test.order"}`, `member "kind" is given twice`},
		{"/v1/jobs", `{"kind":"test.files","Kind":"test.order"}`, `members "kind" and "Kind" differ in case only`},
		{"/v1/jobs", `{"kind":"test.files","args":1,"args":{"a":1}}`, `member "args" is given twice`},
		{"/v1/jobs/batch", `{"jobs":[{"kind":"test.files"},{"kind":"test.files","key":"a","key":"b"}]}`, `member "key" is given twice`},
		{"/v1/jobs/" + held + "/cancel", `{"reason":"a","reason":"b"}`, `member "reason" is given twice`},
		{"/v1/sweep", `{"limit":1,"limit":2}`, `member "limit" is given twice`},
	} {
		if p := refused(t, d.ask(t, "POST", c[0], c[1]), http.StatusBadRequest, c[2]); p.Code != "invalid" {
			t.Errorf("%s %s: code = %q, want invalid", c[0], c[1], p.Code)
		}
	}
	if list := want[functions.List](t, d.ask(t, "GET", "/v1/jobs", ""), 200); len(list.Jobs) != 1 || list.Jobs[0].State != store.Held {
		t.Errorf("jobs = %+v, want the held one alone", list.Jobs)
	}
}

func TestTimesAndNamesThatCannotWork(t *testing.T) {
	d := newDesk(t, nil)
	for body, text := range map[string]string{
		`"at":"9999-12-31T23:59:59-12:00"`: "the year is 10000, and must be 1 to 9999 in UTC",
		`"at":"0000-12-31T23:59:59Z"`:      "the year is 0",
		`"queue":"submit"`:                 `queue "submit" is where jobs are submitted`,
		`"retention":"1ns"`:                "Retention(1ns): must be 0 (keeps without limit) or at least 1ms",
		`"retention":"999us"`:              "at least 1ms",
		`"deadline":"1us"`:                 "at least 1ms",
	} {
		p := refused(t, d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order",`+body+`}`), http.StatusBadRequest, text)
		many := want[wire.Receipts](t, d.ask(t, "POST", "/v1/jobs/batch", `{"jobs":[{"kind":"test.order"},{"kind":"test.order",`+body+`}]}`), 200)
		if many.Submitted != 1 || many.Receipts[1].Error == nil || many.Receipts[1].Error.Status != 400 || p.Code != "invalid" {
			t.Errorf("%s in a batch: %+v, want it refused with 400", body, many.Receipts[1])
		}
	}
}

// A record of an earlier version, which took such a time, is shown with the last moment that JSON can write.
func TestABadRecordBreaksNoList(t *testing.T) {
	d := newDesk(t, nil)
	s, err := store.New(d.coll, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.submit(t, `{"kind":"test.order"}`)
	j := s.NewJob(store.Job{ID: "job-1", Kind: "test.order", At: store.MaxTime + 60_000}, false, store.At(time.Now()))
	if _, err := s.Create(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	list := want[functions.List](t, d.ask(t, "GET", "/v1/jobs", ""), 200)
	one := want[functions.Info](t, d.ask(t, "GET", "/v1/jobs/job-1", ""), 200)
	if len(list.Jobs) != 2 || !one.At.Equal(store.MaxTime.Time()) {
		t.Errorf("%d jobs, the one at %v; want 2, and %v", len(list.Jobs), one.At, store.MaxTime.Time())
	}
}

func TestIDsThatNoStoreTakesAreNotFound(t *testing.T) {
	var log bytes.Buffer
	d := newDesk(t, &httpapi.Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	for _, id := range []string{"job-%00", "job-%ff", "job-%C3%A4", "job-a%2Fb", "job-" + strings.Repeat("%C3%A4", 150)} {
		for _, q := range [][2]string{{"GET", ""}, {"GET", "/outputs"}, {"GET", "/outputs/x"}, {"GET", "/wait?timeout=1ms"}, {"POST", "/cancel"}, {"POST", "/retry"}, {"POST", "/release"}} {
			refused(t, d.ask(t, q[0], "/v1/jobs/"+id+q[1], ""), http.StatusNotFound, "")
		}
	}
	if log.Len() > 0 {
		t.Errorf("the log has\n%s\nwant nothing", &log)
	}
}

// explosive are arguments whose reading panics.
type explosive struct{}

func (*explosive) UnmarshalJSON([]byte) error { panic("boom") }

func TestArgumentsWhoseReadingPanicsAreABadRequest(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Kind[explosive, int]("test.explosive").Declare(reg)
	refused(t, newDeskOf(t, reg, nil).ask(t, http.MethodPost, "/v1/jobs", `{"kind":"test.explosive","args":{}}`), http.StatusBadRequest, "panic: boom")
}

// A function that cannot tell who asks lets nobody in.
func TestAnAuthenticateThatMisbehavesLetsNobodyIn(t *testing.T) {
	for name, misbehave := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": func() { runtime.Goexit() }} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, &httpapi.Options{Authenticate: func(*http.Request) (string, httpapi.Role, error) {
				misbehave()
				return "me", httpapi.Operator, nil
			}})
			refused(t, d.ask(t, http.MethodGet, "/v1/jobs", ""), http.StatusInternalServerError, "")
		})
	}
}
