package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

func TestSubmitGetAndResult(t *testing.T) {
	d := newDesk(t, nil)
	w := d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order","args":{"item":"nut","count":3},"tags":["a"],"max_attempts":2,"timeout":"1m","retention":"1h"}`)
	receipt := want[functions.Receipt](t, w, 201)
	if w.Header().Get("Location") != "jobs/"+receipt.ID {
		t.Errorf("Location %q", w.Header().Get("Location"))
	}
	d.kit.Drain()
	job := want[functions.Info](t, d.ask(t, "GET", "/v1/jobs/"+receipt.ID, ""), 200)
	if job.State != store.Succeeded || string(job.Result) != `{"item":"nut","count":3}` {
		t.Errorf("job %s with result %s", job.State, job.Result)
	}
	if job.Limits.MaxAttempts != 2 || job.Limits.Timeout != functions.Duration(time.Minute) || job.Expires.Sub(job.Ended) != time.Hour {
		t.Errorf("limits %+v, expires %v after its end", job.Limits, job.Expires.Sub(job.Ended))
	}
}

func TestSubmitWithKeyGivesTheSameJob(t *testing.T) {
	d := newDesk(t, nil)
	body := `{"kind":"test.order","args":{"item":"nut"}}`
	first := want[functions.Receipt](t, d.ask(t, "POST", "/v1/jobs", body, "Idempotency-Key", "k1"), 201)
	again := want[functions.Receipt](t, d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order","key":"k1","args":{"item":"nut"}}`), 200)
	if again.ID != first.ID || !again.Existing {
		t.Errorf("first %+v, again %+v", first, again)
	}
	p := refused(t, d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order","key":"k1","args":{"item":"bolt"}}`), 409, "key is taken")
	if p.Code != "key_conflict" || p.Errors[0].Location != "body.key" {
		t.Errorf("problem %+v", p)
	}
	refused(t, d.ask(t, "POST", "/v1/jobs", `{"kind":"test.order","key":"k2"}`, "Idempotency-Key", "k1"), 400, "differs from body.key")
}

func TestSubmitRefusals(t *testing.T) {
	d := newDesk(t, nil)
	for _, c := range []struct {
		name, body string
		status     int
		text, at   string
	}{
		{"unknown kind", `{"kind":"test.ordre"}`, 422, `did you mean "test.order"?`, "body.kind"},
		{"no kind", `{}`, 422, "body: expected required property kind to be present", "body"},
		{"malformed kind", `{"kind":"Test Order"}`, 422, "unknown kind", "body.kind"},
		{"field of args", `{"kind":"test.order","args":{"itme":"x"}}`, 422, `unknown field "itme"; did you mean "item"?`, "body.args"},
		{"type of args", `{"kind":"test.order","args":{"count":"x"}}`, 422, `field "count"`, "body.args"},
		{"unknown field", `{"kind":"test.order","quue":"x"}`, 422, `body.quue: unknown field "quue"; did you mean "queue"?`, "body.quue"},
		{"queue", `{"kind":"test.order","queue":"No Good"}`, 400, "lower-case", "body"},
		{"delay", `{"kind":"test.order","delay":"soon"}`, 400, "body.delay: \"soon\" is not a duration", "body.delay"},
		{"negative", `{"kind":"test.order","delay":"-5s"}`, 400, "is negative", "body.delay"},
		{"at and delay", `{"kind":"test.order","delay":"5s","at":"2030-01-01T00:00:00Z"}`, 400, "exclude one another", "body.delay"},
		{"at", `{"kind":"test.order","at":"tomorrow"}`, 422, "date-time", "body.at"},
		{"no attempts", `{"kind":"test.order","max_attempts":0}`, 400, "at least 1", "body"},
		{"not JSON", `{"kind":`, 400, "body: not JSON", "body"},
		{"not an object", `[]`, 422, "body: expected object", "body"},
		{"a number alone", `1`, 422, "body: expected object", "body"},
		{"a whole number with an exponent", `{"kind":"test.order","max_attempts":1e2}`, 422, "body: the number 1e2 does not fit into int", "body"},
		{"a number beyond all", `{"kind":"test.order","max_attempts":1e400}`, 400, "body: the number 1e400 does not fit into float64", "body"},
		{"nothing", ``, 400, "request body is required", ""},
		{"too many tags", `{"kind":"test.order","tags":["` + strings.Repeat(`x","`, 20) + `x"]}`, 422, "<= 20", "body.tags"},
		{"long args", `{"kind":"test.order","args":{"item":"` + strings.Repeat("x", 100_000) + `"}}`, 413, "at most 100000", "body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := refused(t, d.ask(t, "POST", "/v1/jobs", c.body), c.status, c.text)
			if c.at != "" && (len(p.Errors) == 0 || p.Errors[0].Location != c.at) {
				t.Errorf("errors %+v, want one at %s", p.Errors, c.at)
			}
		})
	}
	list := want[functions.List](t, d.ask(t, "GET", "/v1/jobs", ""), 200)
	if len(list.Jobs) != 0 {
		t.Errorf("%d jobs were stored all the same", len(list.Jobs))
	}
}

func TestPastTimeRunsNow(t *testing.T) {
	d := newDesk(t, nil)
	id := d.submit(t, `{"kind":"test.order","at":"2001-01-01T00:00:00Z"}`)
	d.kit.Drain()
	if job := want[functions.Info](t, d.ask(t, "GET", "/v1/jobs/"+id, ""), 200); job.State != store.Succeeded {
		t.Errorf("job is %s", job.State)
	}
}

func TestBatchHasAReceiptForEachJob(t *testing.T) {
	d := newDesk(t, nil)
	body := `{"jobs":[{"kind":"test.order","key":"a"},{"kind":"test.ordr"},{"kind":"test.order","delay":"x"},{"kind":"test.order","key":"a"}]}`
	got := want[wire.Receipts](t, d.ask(t, "POST", "/v1/jobs/batch", body), 200)
	if got.Submitted != 2 || got.Refused != 2 || len(got.Receipts) != 4 {
		t.Fatalf("got %+v, want got.Submitted == 2 && got.Refused == 2 && len(got.Receipts) == 4", got)
	}
	r := got.Receipts
	if r[0].ID == "" || r[3].ID != r[0].ID || !r[3].Existing {
		t.Errorf("receipts of one key: %+v and %+v", r[0], r[3])
	}
	if r[1].Error == nil || r[1].Error.Errors[0].Location != "body.jobs[1].kind" || r[1].Error.Code != "unknown_kind" {
		t.Errorf("receipt 1: %+v", r[1].Error)
	}
	if r[2].Error == nil || r[2].Error.Errors[0].Location != "body.jobs[2].delay" {
		t.Errorf("receipt 2: %+v", r[2].Error)
	}
	refused(t, d.ask(t, "POST", "/v1/jobs/batch", `{"jobs":[]}`), 422, "body.jobs")
	refused(t, d.ask(t, "POST", "/v1/jobs/batch", `{"jobs":[{"kind":"test.order"},{"kind":"test.order","tag":1}]}`), 422,
		`body.jobs[1].tag: unknown field "tag"; did you mean "tags"?`)
	many := `{"jobs":[` + strings.Repeat(`{"kind":"test.order"},`, wire.MaxBatch) + `{"kind":"test.order"}]}`
	refused(t, d.ask(t, "POST", "/v1/jobs/batch", many), 422, "<= 10000")
}

func TestListFiltersAndPages(t *testing.T) {
	d := newDesk(t, nil)
	for i := range 5 {
		d.submit(t, fmt.Sprintf(`{"kind":"test.order","args":{"count":%d},"tags":["t%d"]}`, i, i%2))
	}
	d.submit(t, `{"kind":"test.files","held":true}`)
	page := want[functions.List](t, d.ask(t, "GET", "/v1/jobs?kind=test.order&limit=3", ""), 200)
	if len(page.Jobs) != 3 || page.Next == "" {
		t.Fatalf("%d jobs, next %q", len(page.Jobs), page.Next)
	}
	rest := want[functions.List](t, d.ask(t, "GET", "/v1/jobs?kind=test.order&limit=3&cursor="+page.Next, ""), 200)
	if len(rest.Jobs) != 2 || rest.Next != "" {
		t.Errorf("%d jobs, next %q", len(rest.Jobs), rest.Next)
	}
	if l := want[functions.List](t, d.ask(t, "GET", "/v1/jobs?state=held", ""), 200); len(l.Jobs) != 1 || l.Jobs[0].Kind != "test.files" {
		t.Errorf("held: %+v", l.Jobs)
	}
	if l := want[functions.List](t, d.ask(t, "GET", "/v1/jobs?tag=t1", ""), 200); len(l.Jobs) != 2 {
		t.Errorf("tag t1: %d jobs", len(l.Jobs))
	}
	for query, n := range map[string]int{
		"state=queued,held": 6, "state=held,failed": 1, "state=running": 0, "queue=default": 6, "queue=fast": 0, "key=k": 0,
		"created_from=2020-01-01T00:00:00Z": 6, "created_before=2020-01-01T01:00:00%2B01:00": 0,
	} {
		if l := want[functions.List](t, d.ask(t, "GET", "/v1/jobs?"+query, ""), 200); len(l.Jobs) != n || l.Next != "" {
			t.Errorf("%s: %d jobs, next %q, want %d", query, len(l.Jobs), l.Next, n)
		}
	}
	d.submit(t, `{"kind":"test.files","key":"k"}`)
	if l := want[functions.List](t, d.ask(t, "GET", "/v1/jobs?key=k", ""), 200); len(l.Jobs) != 1 || l.Jobs[0].Key != "k" {
		t.Errorf("key=k: %+v, want one", l.Jobs)
	}
	refused(t, d.ask(t, "GET", "/v1/jobs?state=held,done", ""), 422, "query.state[1]")
	refused(t, d.ask(t, "GET", "/v1/jobs?queue=NO", ""), 400, "lower-case")
	refused(t, d.ask(t, "GET", "/v1/jobs?created_from=yesterday", ""), 422, "query.created_from")
	refused(t, d.ask(t, "GET", "/v1/jobs?created_from=2020-01-02T00:00:00Z&created_before=2020-01-01T00:00:00Z", ""), 400, "exchange them")
	refused(t, d.ask(t, "GET", "/v1/jobs?kind=test.files&cursor="+page.Next, ""), 400, "another filter")
	refused(t, d.ask(t, "GET", "/v1/jobs?cursor=gibberish", ""), 400, "not a cursor")
	refused(t, d.ask(t, "GET", "/v1/jobs?stat=held", ""), 400, `unknown query parameter "stat"; did you mean "state"?`)
	refused(t, d.ask(t, "GET", "/v1/jobs?state=done", ""), 422, "query.state")
	refused(t, d.ask(t, "GET", "/v1/jobs?limit=0", ""), 422, "query.limit")
	refused(t, d.ask(t, "GET", "/v1/jobs?limit=many", ""), 422, "query.limit")
	refused(t, d.ask(t, "GET", "/v1/jobs?kind=NO", ""), 400, "lower-case")
	refused(t, d.ask(t, "GET", "/v1/jobs?kind=%zz", ""), 400, `the query string cannot be read: invalid URL escape "%zz"`)
	refused(t, d.ask(t, "GET", "/v1/jobs?kind=a;state=held", ""), 400, "the query string cannot be read")
	refused(t, d.ask(t, "GET", "/v1/jobs?limit=1&limit=2", ""), 400, "the query parameter limit is given 2 times; give it once")
	refused(t, d.ask(t, "GET", "/v1/parked?cursor=&cursor=", ""), 400, "given 2 times")
	refused(t, d.ask(t, "GET", "/v1/health?%zz", ""), 400, "cannot be read")
}

func TestLiveJobsAreCounted(t *testing.T) {
	d := newDesk(t, nil)
	for range 3 {
		d.submit(t, `{"kind":"test.order"}`)
	}
	d.submit(t, `{"kind":"test.files","held":true}`)
	counts := want[functions.Counts](t, d.ask(t, "GET", "/v1/counts", ""), 200)
	if len(counts.Jobs) != 2 || counts.Jobs[1] != (functions.Count{Kind: "test.order", Queue: "default", State: store.Queued, Jobs: 3}) ||
		len(counts.Queues) != 1 || counts.Queues[0].Waiting != 3 || counts.AtLeast {
		t.Errorf("counts %+v, want one held and three queued", counts)
	}
	if counts = want[functions.Counts](t, d.ask(t, "GET", "/v1/counts?scan=2", ""), 200); !counts.AtLeast || counts.Scanned != 2 {
		t.Errorf("counts of two: %+v, want at least", counts)
	}
	refused(t, d.ask(t, "GET", "/v1/counts?scan=0", ""), 422, "query.scan")
}

func TestCancelRetryRelease(t *testing.T) {
	d := newDesk(t, nil)
	held := d.submit(t, `{"kind":"test.order","held":true}`)
	if job := want[functions.Info](t, d.ask(t, "POST", "/v1/jobs/"+held+"/release", ""), 200); job.State != store.Queued {
		t.Errorf("released: %s", job.State)
	}
	later := d.submit(t, `{"kind":"test.order","delay":"10h"}`)
	job := want[functions.Info](t, d.ask(t, "POST", "/v1/jobs/"+later+"/cancel", `{"reason":"not needed"}`), 200)
	if job.State != store.Cancelled || !strings.Contains(job.Reason, "not needed") {
		t.Errorf("cancelled: %s, %q", job.State, job.Reason)
	}
	want[functions.Info](t, d.ask(t, "POST", "/v1/jobs/"+later+"/cancel", ""), 200) // again changes nothing
	if job = want[functions.Info](t, d.ask(t, "POST", "/v1/jobs/"+later+"/retry", ""), 200); job.State.Final() {
		t.Errorf("retried: %s", job.State)
	}
	d.kit.Drain()
	p := refused(t, d.ask(t, "POST", "/v1/jobs/"+held+"/retry", ""), 409, "cannot")
	if p.Code != "wrong_state" {
		t.Errorf("code %q", p.Code)
	}
	refused(t, d.ask(t, "POST", "/v1/jobs/"+held+"/cancel", `{"reson":"x"}`), 422, `did you mean "reason"?`)
	refused(t, d.ask(t, "POST", "/v1/jobs/"+held+"/release", ""), 409, "")
}

// A list says what it leaves out, and has it if it is asked to.
func TestListsLeaveOutLargePayloads(t *testing.T) {
	d := newDesk(t, nil)
	d.submit(t, `{"kind":"test.order","args":{"item":"`+strings.Repeat("x", 2000)+`"}}`)
	brief := want[functions.List](t, d.ask(t, "GET", "/v1/jobs", ""), 200)
	if i := brief.Jobs[0]; i.Args != nil || fmt.Sprint(i.Omitted) != "[args]" {
		t.Errorf("%d bytes of arguments, omitted %v, want none and args", len(i.Args), i.Omitted)
	}
	if brief.Scanned != 1 || !brief.Until.Equal(brief.Jobs[0].Created) {
		t.Errorf("scanned %d until %v, want 1 until %v", brief.Scanned, brief.Until, brief.Jobs[0].Created)
	}
	full := want[functions.List](t, d.ask(t, "GET", "/v1/jobs?payloads=true", ""), 200)
	if i := full.Jobs[0]; len(i.Args) < 2000 || i.Omitted != nil {
		t.Errorf("%d bytes of arguments, omitted %v, want over 2000 and none", len(i.Args), i.Omitted)
	}
}

// What is stored beside the jobs cannot be reached as a job.
func TestIDsOfOtherRecords(t *testing.T) {
	d := newDesk(t, nil)
	d.submit(t, `{"kind":"test.order"}`) // makes the record "kinds"
	for _, id := range []string{"kinds", "job-unknown", "parked-0", "..%2F..", "%00", "job-%20", strings.Repeat("x", 150)} {
		for _, action := range []string{"", "/cancel", "/retry", "/release"} {
			method := "POST"
			if action == "" {
				method = "GET"
			}
			refused(t, d.ask(t, method, "/v1/jobs/"+id+action, ""), http.StatusNotFound, "no such job")
		}
	}
	refused(t, d.ask(t, "GET", "/v1/jobs/job-"+strings.Repeat("x", 300), ""), 422, "path.id")
}

func TestOperation(t *testing.T) {
	d := newDesk(t, nil)
	d.submit(t, `{"kind":"test.order"}`)
	d.kit.Drain()
	kinds := want[wire.Kinds](t, d.ask(t, "GET", "/v1/kinds", ""), 200)
	if len(kinds.Kinds) != 2 || kinds.Kinds[1].Name != "test.order" || fmt.Sprint(kinds.Kinds[1].Fields) != "[item count]" {
		t.Errorf("kinds %+v", kinds)
	}
	stats := want[wire.Stats](t, d.ask(t, "GET", "/v1/stats", ""), 200)
	if stats.Submitted != 1 || stats.Succeeded != 1 || stats.Started.IsZero() {
		t.Errorf("stats %+v", stats)
	}
	if h := want[wire.Health](t, d.ask(t, "GET", "/v1/health", ""), 200); h.Status != "ok" {
		t.Errorf("health %+v", h)
	}
	want[functions.SweepResult](t, d.ask(t, "POST", "/v1/sweep", ""), 200)
	want[functions.SweepResult](t, d.ask(t, "POST", "/v1/sweep", `{"limit":5,"for":"1s"}`), 200)
	refused(t, d.ask(t, "POST", "/v1/sweep", `{"for":"x"}`), 400, "body.for")
	d.rt.Submit(t.Context(), []byte(`{"kind":1}`), map[string]string{"m": "1"}, "m1")
	d.rt.Submit(t.Context(), []byte("\xff\x00"), nil, "m2")
	parked := want[wire.ParkedPage](t, d.ask(t, "GET", "/v1/parked?limit=1", ""), 200)
	rest := want[wire.ParkedPage](t, d.ask(t, "GET", "/v1/parked?limit=5&cursor="+parked.Next, ""), 200)
	all := slices.Concat(parked.Parked, rest.Parked)
	if len(all) != 2 || all[0].Reason == "" || all[0].Text+all[1].Text != `{"kind":1}` {
		t.Errorf("parked %+v", all)
	}
}

func TestParkedMessagesAreReplayedAndRemoved(t *testing.T) {
	d := newDesk(t, nil)
	ids := map[string]string{}
	for _, body := range []string{`{"kind":"test.order","args":{"item":"tea"}}`, `{"kind":"test.gone"}`, "no message"} {
		d.rt.Park(t.Context(), functions.SubmitQueue, []byte(body), nil, errors.New("not understood"))
		for _, p := range want[wire.ParkedPage](t, d.ask(t, "GET", "/v1/parked", ""), 200).Parked {
			ids[p.Text] = p.ID
		}
	}
	good := ids[`{"kind":"test.order","args":{"item":"tea"}}`]
	replayed := want[wire.Unparked](t, d.ask(t, "POST", "/v1/parked/"+good+"/replay", ""), 200)
	job := want[functions.Info](t, d.ask(t, "GET", "/v1/jobs/"+replayed.Job, ""), 200)
	if replayed.ID != good || job.Kind != "test.order" {
		t.Errorf("replay = %+v with job %+v, want one of kind test.order", replayed, job)
	}
	refused(t, d.ask(t, "POST", "/v1/parked/"+good+"/replay", ""), 404, good)
	refused(t, d.ask(t, "POST", "/v1/parked/"+ids[`{"kind":"test.gone"}`]+"/replay", ""), 422, "test.gone")
	refused(t, d.ask(t, "POST", "/v1/parked/"+ids["no message"]+"/replay", ""), 400, ids["no message"])
	removed := want[wire.Unparked](t, d.ask(t, "DELETE", "/v1/parked/"+ids["no message"], ""), 200)
	if removed.ID != ids["no message"] || removed.Job != "" {
		t.Errorf("remove = %+v, want its id alone", removed)
	}
	for _, id := range []string{ids["no message"], replayed.Job, "kinds", "parked-"} {
		refused(t, d.ask(t, "DELETE", "/v1/parked/"+id, ""), 404, "no such parked message")
	}
	want[functions.Info](t, d.ask(t, "GET", "/v1/jobs/"+replayed.Job, ""), 200)
	if left := want[wire.ParkedPage](t, d.ask(t, "GET", "/v1/parked", ""), 200).Parked; len(left) != 1 || left[0].ID != ids[`{"kind":"test.gone"}`] {
		t.Errorf("parked %+v, want the message that could not be replayed", left)
	}
}
