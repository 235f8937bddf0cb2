package lambda_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/lambda"
)

// served is the API over a world, open to all.
func served(t *testing.T, w *world) http.Handler {
	t.Helper()
	api, err := httpapi.New(w.Runtime, &httpapi.Options{
		Log:          slog.New(slog.DiscardHandler),
		Authenticate: func(*http.Request) (string, httpapi.Role, error) { return "test", httpapi.Operator, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func echoing() *functions.Registry {
	reg := functions.NewRegistry()
	functions.Handle(reg, "echo", func(_ context.Context, j *functions.Job[any]) (any, error) { return j.Args, nil })
	return reg
}

// However large the jobs are, each page of a list can be returned in one piece, and the pages have
// all of them.
func TestListsOfLargeJobsFit(t *testing.T) {
	w := newWorld(t, echoing(), functions.Config{})
	quotes := json.RawMessage(`["` + strings.Repeat(`\\\"`, 32<<10/4-10) + `"]`) // each sign is escaped again in an event
	subs := make([]functions.Submission, 300)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "echo", Args: quotes}
	}
	if _, err := w.Client().SubmitMany(t.Context(), subs); err != nil {
		t.Fatal(err)
	}
	h := made(t)(lambda.HTTP(served(t, w)))
	for _, payloads := range []string{"true", "false"} {
		jobs, pages := 0, 0
		for cursor := ""; ; {
			a := ask(t.Context(), t, h, v2("GET", "/v1/jobs", "limit=1000&payloads="+payloads+cursor))
			var list functions.List
			if err := json.Unmarshal([]byte(a.body(t)), &list); a.Status != 200 || err != nil {
				t.Fatalf("payloads=%s: status %d, %v", payloads, a.Status, err)
			}
			jobs += len(list.Jobs)
			if pages++; list.Next == "" {
				break
			}
			cursor = "&cursor=" + list.Next
		}
		if jobs != len(subs) || pages < 3 {
			t.Errorf("payloads=%s: %d jobs on %d pages, want %d on 3 or more", payloads, jobs, pages, len(subs))
		}
	}
}

// Location leads to the job also below a stage of API Gateway, and below a prefix of one's own.
func TestLocationBelowAStageAndAPrefix(t *testing.T) {
	w := newWorld(t, echoing(), functions.Config{})
	api := served(t, w)
	for _, c := range []struct{ stage, prefix string }{{"$default", ""}, {"prod", ""}, {"prod", "/jobs-api"}} {
		t.Run(c.stage+c.prefix, func(t *testing.T) {
			h := made(t)(lambda.HTTP(http.StripPrefix(c.prefix, api)))
			before := c.prefix
			if c.stage != "$default" {
				before = "/" + c.stage + c.prefix
			}
			event := func(method, path, more string) string {
				return strings.Replace(v2(method, path, "", "", more), `"stage":"$default"`, `"stage":"`+c.stage+`"`, 1)
			}
			a := ask(t.Context(), t, h, event("POST", before+"/v1/jobs", `,"body":"{\"kind\":\"echo\"}"`))
			at, err := url.Parse("https://jobs.example.com" + before + "/v1/jobs")
			if err != nil {
				t.Fatal(err)
			}
			if at, err = at.Parse(a.Headers["Location"]); a.Status != 201 || err != nil {
				t.Fatalf("status %d, Location %q, %v: %s", a.Status, a.Headers["Location"], err, a.Body)
			}
			if got := ask(t.Context(), t, h, event("GET", at.Path, "")); got.Status != 200 {
				t.Errorf("Location %q, that is %s: status %d, want 200", a.Headers["Location"], at, got.Status)
			}
		})
	}
}
