package apiclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/store"
)

const operator = "operator-0123456789"

// desk is a server whose jobs run when the test says so.
type desk struct {
	kit *kit.Kit
	rt  *functions.Runtime
	*httptest.Server
}

func newDesk(t *testing.T) (*desk, *apiclient.Client) {
	t.Helper()
	reg := functions.NewRegistry()
	functions.Handle(reg, "test.file", func(ctx context.Context, j *functions.Job[string]) (string, error) {
		w, err := j.Output(ctx, "a b/ü.txt")
		if err != nil {
			return "", err
		}
		_, err = io.WriteString(w, j.Args)
		return j.Args, err
	})
	d := &desk{kit: kit.New(t, reg, kit.WallClock())}
	d.rt = d.kit.Runtime()
	quiet := slog.New(slog.DiscardHandler)
	api, err := httpapi.New(d.rt, &httpapi.Options{Log: quiet, Tokens: []httpapi.Token{{Value: operator, Role: httpapi.Operator}}})
	if err != nil {
		t.Fatal(err)
	}
	d.Server = httptest.NewServer(api)
	t.Cleanup(d.Server.Close)
	c, err := apiclient.New(d.URL, &apiclient.Options{Token: operator, Patience: -1})
	if err != nil {
		t.Fatal(err)
	}
	return d, c
}

func TestEveryMethod(t *testing.T) {
	d, c := newDesk(t)
	ctx := t.Context()
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("got %s: %v, want no error", what, err)
		}
	}
	receipt, err := c.Submit(ctx, wire.Submit{Kind: "test.file", Args: json.RawMessage(`"hello"`), Key: "k", Tags: []string{"x"}})
	check("submit", err)
	again, err := c.Submit(ctx, wire.Submit{Kind: "test.file", Args: json.RawMessage(`"hello"`), Key: "k"})
	check("submit again", err)
	if again.ID != receipt.ID || !again.Existing {
		t.Errorf("again %+v", again)
	}
	waited, err := c.WaitFor(ctx, receipt.ID, time.Millisecond)
	check("wait", err)
	if waited.Done {
		t.Error("done before it ran")
	}
	d.kit.Drain()
	seen := 0
	job, err := c.Wait(ctx, receipt.ID, func(functions.Info) { seen++ })
	check("wait", err)
	if job.State != store.Succeeded || seen != 1 {
		t.Errorf("job %s, seen %d times", job.State, seen)
	}
	if got, err := functions.Kind[any, string](job.Kind).Result(job); err != nil || got != "hello" {
		t.Errorf("result %q, %v", got, err)
	}
	outputs, err := c.Outputs(ctx, receipt.ID)
	check("outputs", err)
	for offset, want := range map[int64]string{0: "hello", 2: "llo"} {
		r, info, err := c.OpenOutput(ctx, receipt.ID, outputs[0].Name, offset)
		check("open output", err)
		text, err := io.ReadAll(r)
		check("read output", err)
		if string(text) != want || info.Size != 5 || info.SHA256 != outputs[0].SHA256 {
			t.Errorf("from %d: %q, %+v", offset, text, info)
		}
		check("close", r.Close())
	}
	receipts, err := c.SubmitMany(ctx, []wire.Submit{{Kind: "test.file", Args: json.RawMessage(`"a"`), Held: true}, {Kind: "test.fiel"}})
	check("submit many", err)
	if receipts.Submitted != 1 || receipts.Refused != 1 || !errors.Is(receipts.Receipts[1].Error, functions.ErrUnknownKind) {
		t.Errorf("receipts %+v", receipts)
	}
	held := receipts.Receipts[0].ID
	_, err = c.Release(ctx, held)
	check("release", err)
	_, err = c.Cancel(ctx, held, "not needed")
	check("cancel", err)
	_, err = c.Retry(ctx, held)
	check("retry", err)
	list, err := c.List(ctx, wire.List{Kind: "test.file", Tag: "x", States: []string{"failed", "succeeded"}, Queue: "default", CreatedFrom: time.Unix(1, 0), CreatedBefore: time.Now().Add(time.Hour), Limit: 5})
	check("list", err)
	if len(list.Jobs) != 1 {
		t.Errorf("list %+v", list)
	}
	counts, err := c.Count(ctx, 100)
	check("count", err)
	if len(counts.Jobs) != 1 || counts.Jobs[0].Jobs != 1 {
		t.Errorf("counts %+v, want the retried job alone", counts)
	}
	_, err = c.Kinds(ctx)
	check("kinds", err)
	kind, err := c.Kind(ctx, "test.file")
	check("kind", err)
	if kind.Name != "test.file" || !json.Valid(kind.ArgsSchema) {
		t.Errorf("kind %+v, want the schema of its arguments", kind)
	}
	if _, err := c.Kind(ctx, "test.fiel"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a kind that is not there: %v, want ErrNotFound", err)
	}
	_, err = c.Parked(ctx, 5, "")
	check("parked", err)
	for verb, unpark := range map[string]func(context.Context, string) (wire.Unparked, error){"remove": c.RemoveParked, "replay": c.ReplayParked} {
		if _, err := unpark(ctx, "parked-none"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of a message that is not there: %v, want ErrNotFound", verb, err)
		}
	}
	_, err = c.Sweep(ctx, wire.Sweep{Limit: 5})
	check("sweep", err)
	stats, err := c.Stats(ctx)
	check("stats", err)
	if health, err := c.Health(ctx); err != nil || health.Status != "ok" || stats.Submitted != 2 {
		t.Errorf("health %+v, %v; stats %+v", health, err, stats)
	}
}

// A job is in the trace of whoever submits it, also from afar.
func TestASubmissionTakesItsTraceAlong(t *testing.T) {
	d, c := newDesk(t)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{"traceparent": parent, "tracestate": "a=b"})
	if _, err := c.Submit(ctx, wire.Submit{Kind: "test.file", Args: json.RawMessage(`"x"`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SubmitMany(ctx, []wire.Submit{{Kind: "test.file", Args: json.RawMessage(`"y"`)}}); err != nil {
		t.Fatal(err)
	}
	hints := d.kit.Messages()
	if len(hints) != 2 {
		t.Errorf("%d messages, want 2", len(hints))
	}
	for _, m := range hints {
		if m.Trace["traceparent"] != parent || m.Trace["tracestate"] != "a=b" {
			t.Errorf(`got %v, want m.Trace["traceparent"] == parent && m.Trace["tracestate"] == "a=b"`, m.Trace)
		}
	}
	if _, err := c.Submit(t.Context(), wire.Submit{Kind: "test.file", Args: json.RawMessage(`"z"`)}); err != nil {
		t.Fatal(err)
	}
	if hints := d.kit.Messages(); len(hints) != 1 || hints[0].Trace != nil {
		t.Errorf("messages = %+v, want one without a trace", hints)
	}
}

func TestRefusalsMatchTheServersErrors(t *testing.T) {
	_, c := newDesk(t)
	_, unknown := c.Submit(t.Context(), wire.Submit{Kind: "nope"})
	_, args := c.Submit(t.Context(), wire.Submit{Kind: "test.file", Args: json.RawMessage(`1`)})
	_, missing := c.Get(t.Context(), "job-x")
	_, cursor := c.List(t.Context(), wire.List{Cursor: "x"})
	for _, e := range []struct{ got, want error }{
		{unknown, functions.ErrUnknownKind}, {args, functions.ErrArgs}, {missing, store.ErrNotFound}, {cursor, store.ErrCursor},
	} {
		if !errors.Is(e.got, e.want) || errors.Is(e.got, functions.ErrKeyConflict) {
			t.Errorf("%v, want %v", e.got, e.want)
		}
	}
	for _, id := range []string{"", ".", ".."} {
		if _, err := c.Get(t.Context(), id); !errors.Is(err, functions.ErrInvalid) {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

func TestOtherServers(t *testing.T) {
	ctx := t.Context()
	for _, address := range []string{"", "127.0.0.1:7433", "ftp://x", "http://", "http://x?y", "http://%zz"} {
		if _, err := apiclient.New(address, nil); !errors.Is(err, functions.ErrConfig) {
			t.Errorf("apiclient.New: got %q: %v, want errors.Is(err, functions.ErrConfig)", address, err)
		}
	}
	if _, err := apiclient.New("http://x", &apiclient.Options{Token: "two words"}); !errors.Is(err, functions.ErrConfig) {
		t.Errorf("token: %v", err)
	}
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "health") {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = io.WriteString(w, "<html>")
	}))
	defer html.Close()
	c, err := apiclient.New(html.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "the server at " + html.URL + " is not a Piecework server: it answers 502 Bad Gateway"
	if _, err := c.Health(ctx); !errors.Is(err, apiclient.ErrNotPiecework) || err.Error() != want {
		t.Errorf("Health: error = %v, want %q", err, want)
	}
	if _, err := c.Stats(ctx); !errors.Is(err, apiclient.ErrNotPiecework) {
		t.Errorf("c.Stats: got %v, want errors.Is(err, apiclient.ErrNotPiecework)", err)
	}
	html.Close()
	if _, err := c.Health(ctx); !errors.Is(err, apiclient.ErrUnreachable) || !strings.Contains(err.Error(), html.URL) {
		t.Errorf("c.Health: got %v, want errors.Is(err, apiclient.ErrUnreachable) && strings.Contains(err.Error(), html.URL)", err)
	}
}

// transport answers requests without a network.
type transport func(r *http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, body string) *http.Response {
	w := httptest.NewRecorder()
	if status >= http.StatusBadRequest {
		w.Header().Set("Content-Type", wire.ProblemType)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
	return w.Result()
}

func TestAsksAgainWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, away := 0, 3
		c, err := apiclient.New("http://server", &apiclient.Options{HTTP: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
			if asked++; asked <= away {
				r := answer(503, `{"status":503,"title":"x","detail":"away","code":"unavailable"}`)
				r.Header.Set("Retry-After", "2")
				return r, nil
			}
			return answer(200, `{"id":"job-1","state":"queued","existing":false}`), nil
		})}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if r, err := c.Submit(t.Context(), wire.Submit{Kind: "a", Key: "k"}); err != nil || r.ID != "job-1" || asked != 4 || time.Since(start) < 6*time.Second {
			t.Errorf("with a key: %+v, %v, asked %d times in %v", r, err, asked, time.Since(start))
		}
		asked = 0
		if _, err := c.Submit(t.Context(), wire.Submit{Kind: "a"}); !errors.Is(err, store.ErrUnavailable) || asked != 1 {
			t.Errorf("without a key: %v, asked %d times", err, asked)
		}
		asked, away = 0, 1000
		start = time.Now()
		if _, err := c.Get(t.Context(), "job-1"); !errors.Is(err, store.ErrUnavailable) || time.Since(start) > 20*time.Second {
			t.Errorf("for ever: %v after %v", err, time.Since(start))
		}
	})
}

func TestWaitOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c, err := apiclient.New("http://server", &apiclient.Options{HTTP: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
			switch asked++; {
			case asked == 1:
				return answer(200, `{"done":false,"job":{"id":"job-1","state":"running"}}`), nil
			case asked < 10:
				return nil, errors.New("connection refused")
			default:
				return answer(200, `{"done":true,"job":{"id":"job-1","state":"succeeded"}}`), nil
			}
		})}})
		if err != nil {
			t.Fatal(err)
		}
		if job, err := c.Wait(t.Context(), "job-1", nil); err != nil || job.State != store.Succeeded {
			t.Errorf("c.Wait: got %+v, %v, want no error && job.State == store.Succeeded", job, err)
		}
		asked = 2
		if _, err := c.Wait(t.Context(), "job-1", nil); !errors.Is(err, apiclient.ErrUnreachable) {
			t.Errorf("never reached: %v", err)
		}
	})
}

// A server that answers waits at once is not asked again at once.
func TestWaitLeavesTimeBetweenAnswersThatComeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c, err := apiclient.New("http://jobs.example.com", &apiclient.Options{HTTP: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
			asked++
			return answer(200, `{"done":false,"job":{"id":"job-1","state":"running"}}`), nil
		})}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		job, err := c.Wait(ctx, "job-1", nil)
		if !errors.Is(err, context.DeadlineExceeded) || job.ID != "job-1" || asked > 125 {
			t.Errorf("asked %d times in a minute, %s, %v; want about 120 times and the job as last seen", asked, job.ID, err)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	_, c := newDesk(t)
	receipt, err := c.Submit(t.Context(), wire.Submit{Kind: "test.file", Args: json.RawMessage(`"x"`)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Wait(ctx, receipt.ID, func(functions.Info) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("c.Wait: got %v, want errors.Is(err, context.DeadlineExceeded)", err)
	}
}
