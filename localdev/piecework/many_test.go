package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// A filter only counts without --yes, and jobs that are dealt with match no more.
func TestManyJobs(t *testing.T) {
	s := start(t, t.TempDir())
	client, err := apiclient.New(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	one := 1
	var subs []wire.Submit
	for range 1200 { // more than two pages
		subs = append(subs, wire.Submit{Kind: "demo.echo", Held: true, Tags: []string{"many"}})
	}
	subs = append(subs, wire.Submit{Kind: "demo.fail", Args: []byte(`{"times":1}`), MaxAttempts: &one}, wire.Submit{Kind: "demo.echo", Held: true})
	receipts, err := client.SubmitMany(t.Context(), subs)
	if err != nil || receipts.Refused > 0 {
		t.Fatalf("submitted %+v, %v", receipts, err)
	}
	failed, kept := receipts.Receipts[1200].ID, receipts.Receipts[1201].ID
	s.ask(t, "wait", failed)

	r := s.ask(t, "cancel", "--tag", "many")
	if r.code != exitUsage || r.out != "" || !strings.Contains(r.err, "1200 jobs match; nothing was done: to do it, repeat the command with --yes") {
		t.Errorf("cancel without --yes = %+v, want exit status %d and a count of 1200", r, exitUsage)
	}
	if r := s.ask(t, "cancel", "--tag", "many", "--yes", "--reason", "test"); r.code != exitOK || r.out != "1200 jobs: 1200 cancelled or told to stop, 0 refused\n" {
		t.Errorf("cancel --yes = %+v, want 1200 cancelled", r)
	}
	if r := s.ask(t, "cancel", "--tag", "many", "--yes"); r.code != exitOK || r.err != "no jobs match\n" {
		t.Errorf("cancel --yes again = %+v, want that no jobs match", r)
	}
	for id, want := range map[string]functions.State{kept: functions.StateHeld, receipts.Receipts[7].ID: functions.StateCancelled} {
		if job := document[functions.Info](t, s.ask(t, "get", id, "--json")); job.State != want {
			t.Errorf("job %s is %s, want %s", id, job.State, want)
		}
	}
	if got := document[manyResult](t, s.ask(t, "retry", "--kind", "demo.fail", "--json")); got.Matched != 1 || got.Done != 0 {
		t.Errorf("retry of failed jobs, without --yes: %+v, want 1 that matches", got)
	}
	if got := document[manyResult](t, s.ask(t, "retry", "--kind", "demo.fail", "--json", "--yes")); got.Matched != 1 || got.Done != 1 {
		t.Errorf("retry of failed jobs: %+v, want 1 done", got)
	}
	if r := s.ask(t, "wait", failed); r.code != exitOK && r.code != exitFailed {
		t.Errorf("wait for the job that was retried = %+v", r)
	}
	for since, want := range map[string]int{"1h": 1200, "0s": 0, "2000-01-01": 1200, "2100-01-01": 0} {
		if got := document[manyResult](t, s.ask(t, "retry", "--state", "cancelled", "--since", since, "--json")); got.Matched != want {
			t.Errorf("--since %s: %+v, want %d that match", since, got, want)
		}
	}
}

// flaky is a server with failed jobs that refuses some retries.
func flaky(t *testing.T, jobs int, retry func(w http.ResponseWriter, n int)) *httptest.Server {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			retry(w, int(asked.Add(1)))
			return
		}
		if r.URL.Query().Get("state") != "failed" || r.URL.Query().Get("kind") != "a.b" {
			t.Errorf("asked for %s, want failed jobs of kind a.b", r.URL)
		}
		var list []string
		for i := range jobs {
			list = append(list, fmt.Sprintf(`{"id":"job-%d","kind":"a.b","state":"failed","ended":%q}`, i, time.Now().UTC().Format(time.RFC3339)))
		}
		_, _ = fmt.Fprintf(w, `{"jobs":[%s]}`, strings.Join(list, ","))
	}))
	t.Cleanup(server.Close)
	return server
}

func TestManyJobsOfWhichSomeAreRefused(t *testing.T) {
	server := flaky(t, 20, func(w http.ResponseWriter, n int) {
		if n%4 == 0 {
			w.Header().Set("Content-Type", wire.ProblemType)
			w.WriteHeader(http.StatusConflict)
			_, _ = fmt.Fprint(w, `{"status":409,"title":"Conflict","detail":"it is running","code":"wrong_state"}`)
			return
		}
		_, _ = fmt.Fprint(w, `{"id":"job-1","state":"queued"}`)
	})
	twice := cli(t, "", []string{"PIECEWORK_URL=" + server.URL}, "retry", "--kind", "a.b", "--state", "failed,failed", "--since", "1h", "--json")
	if got := document[manyResult](t, twice); got.Matched != 20 {
		t.Errorf("--state failed,failed --since: %+v, want the 20 jobs that failed since", got)
	}
	r := cli(t, "", []string{"PIECEWORK_URL=" + server.URL}, "retry", "--kind", "a.b", "--since", "1h", "--yes") // since their failure
	if r.code != exitError || r.out != "20 jobs: 15 to run again, 5 refused\n" || !strings.HasPrefix(r.err, "  5: it is running (job-") || strings.Count(r.err, "job-") != manyExample {
		t.Errorf("retry = %+v, want 15 done, and 5 refused for one reason with %d ids", r, manyExample)
	}
}

// A job that was told to stop need not be told again.
func TestManyJobsThatStopAlready(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"jobs":[{"id":"job-1","state":"running","cancel_requested":"2026-11-21T12:00:00Z"},{"id":"job-2","state":"running"},{"id":"job-3","state":"skipped"}]}`)
	}))
	defer server.Close()
	if got := document[manyResult](t, cli(t, "", []string{"PIECEWORK_URL=" + server.URL}, "cancel", "--kind", "a.b", "--json")); got.Matched != 1 {
		t.Errorf("cancel: %+v, want that the job matches that runs and was not told to stop", got)
	}
}

// An error that all jobs would meet stops it, and the counts are told.
func TestManyJobsStopWithTheServer(t *testing.T) {
	for status, want := range map[int]string{http.StatusServiceUnavailable: "is away", http.StatusForbidden: "is away", http.StatusTeapot: "not a Piecework server"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			var refused atomic.Int64
			server := flaky(t, 400, func(w http.ResponseWriter, n int) {
				if n <= 10 {
					_, _ = fmt.Fprint(w, `{"id":"job-1","state":"queued"}`)
					return
				}
				refused.Add(1)
				if status != http.StatusTeapot {
					w.Header().Set("Content-Type", wire.ProblemType)
				}
				w.WriteHeader(status)
				_, _ = fmt.Fprintf(w, `{"status":%d,"title":"x","detail":"it is away"}`, status)
			})
			r := cli(t, "", []string{"PIECEWORK_URL=" + server.URL}, "retry", "--kind", "a.b", "--yes")
			if r.code != exitError || r.out != "10 jobs: 10 to run again, 0 refused\n" || !strings.Contains(r.err, "stopped after 10; the same command goes on: ") || !strings.Contains(r.err, want) {
				t.Errorf("retry = %+v, want that it stopped after 10 because it %s", r, want)
			}
			if n := refused.Load(); n > manyAtOnce {
				t.Errorf("%d requests were refused, want at most the %d at once", n, manyAtOnce)
			}
		})
	}
}
