package cloudrun_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/printed"
)

func TestAHintRunsItsJobInWhateverFormItComes(t *testing.T) {
	for name, push := range map[string]func(w *world, id string) *httptest.ResponseRecorder{
		"wrapped": func(w *world, id string) *httptest.ResponseRecorder {
			return w.post("/push/execute", wrap("7", hint(id), nil))
		},
		"bare": func(w *world, id string) *httptest.ResponseRecorder { return w.post("/push/execute", hint(id)) },
		"with metadata": func(w *world, id string) *httptest.ResponseRecorder {
			return w.post("/push/execute", hint(id), "x-goog-pubsub-message-id", "7", "x-goog-pubsub-subscription-name", "projects/p/subscriptions/s")
		},
	} {
		t.Run(name, func(t *testing.T) {
			jobs, runs := doubles()
			w := newWorld(t, jobs, nil)
			id := w.kit.Submit("test.double", 21)
			for range 3 {
				if rec := push(w, id); rec.Code != http.StatusNoContent || rec.Body.Len() > 0 {
					t.Errorf("status %d: %s", rec.Code, rec.Body)
				}
			}
			if info := w.state(id, store.Succeeded); string(info.Result) != "42" || runs.Load() != 1 {
				t.Errorf("result %s after %d runs", info.Result, runs.Load())
			}
		})
	}
}

func TestWhatCannotBeReadIsParked(t *testing.T) {
	for name, tt := range map[string]struct{ path, body, queue, reason string }{
		"no hint":       {"/push/execute", wrap("1", "hello", nil), "piecework-default", "not JSON"},
		"no id":         {"/push/execute", `{"kind":"test.double"}`, "execute", "belongs on the submit queue"},
		"not base64":    {"/push/execute", `{"message":{"data":"#"},"subscription":"s"}`, "execute", "the envelope of a push"},
		"no message":    {"/push/submit", `{"message":null,"subscription":"s"}`, "submit", "must not be null"},
		"empty":         {"/push/submit", wrap("1", "", nil), "submit", "it is empty"},
		"no body":       {"/push/submit", "", "submit", "it is empty"},
		"unknown kind":  {"/push/submit", wrap("1", `{"kind":"test.dubble"}`, nil), "submit", "test.dubble"},
		"not its kind":  {"/push/submit", wrap("1", `{"kind":"test.double","args":"x"}`, nil), "submit", "arguments do not fit"},
		"no event":      {"/events", `{"specversion":"1.0"}`, "submit", ""},
		"attribute":     {"/events", `{}`, "events", "ce-subject"},
		"quotation":     {"/events", `{}`, "events", "ends within quotation marks"},
		"nothing known": {"/events", `[1,2]`, "submit", ""},
	} {
		t.Run(name, func(t *testing.T) {
			jobs, runs := doubles()
			w := newWorld(t, jobs, nil)
			headers := []string{"Authorization", "Bearer hidden-secret", "Cookie", "hidden-secret", "X-Serverless-Authorization", "hidden-secret"}
			if subject := map[string]string{"attribute": "100%", "quotation": `"a\"`}[name]; subject != "" {
				headers = append(headers, "Ce-Specversion", "1.0", "Ce-Subject", subject)
			}
			for range 2 {
				w.expect(http.StatusNoContent, tt.path, tt.body, headers...)
			}
			parked, _, err := w.rt.Client().Parked(t.Context(), 10, "")
			if err != nil || len(parked) != 1 {
				t.Fatalf("parked messages = %+v, error = %v; want no error and 1 parked", parked, err)
			}
			p := parked[0]
			if p.Queue != tt.queue || !strings.Contains(p.Reason, tt.reason) || runs.Load() != 0 {
				t.Errorf("%+v after %d runs", p, runs.Load())
			}
			for name, value := range p.Metadata {
				if strings.Contains(value, "hidden-secret") {
					t.Errorf("the secret header %s was parked", name)
				}
			}
		})
	}
}

func TestAMessageMakesOneJobHoweverOftenItComes(t *testing.T) {
	for name, push := range map[string]func(w *world){
		"wrapped": func(w *world) {
			w.expect(http.StatusNoContent, "/push/submit", wrap("m-1", `{"kind":"test.double","args":4}`, nil))
		},
		"with metadata": func(w *world) {
			w.expect(http.StatusNoContent, "/push/submit", `{"kind":"test.double","args":4}`, "x-goog-pubsub-message-id", "m-1")
		},
		"its own key": func(w *world) {
			w.expect(http.StatusNoContent, "/push/submit", `{"kind":"test.double","args":4,"key":"k"}`)
		},
		"event of a topic": func(w *world) {
			w.expect(http.StatusNoContent, "/push/submit", wrap("m-1", "4", map[string]string{
				"ce-specversion": "1.0", "ce-type": "test.double", "ce-source": "//test", "ce-id": "e", "content-type": "application/json",
			}))
		},
		"event of a topic, with metadata": func(w *world) {
			w.expect(http.StatusNoContent, "/push/submit", "4", "x-goog-pubsub-message-id", "m-1", "Ce-Specversion", "1.0", "Ce-Type", "test.double",
				"Ce-Source", "//test", "Ce-Id", "e", "Content-Type", "application/json")
		},
		"binary event": func(w *world) {
			w.expect(http.StatusNoContent, "/events", "4", "Ce-Specversion", "1.0", "Ce-Type", "test.double", "Ce-Source", "//test", "Ce-Id", "e",
				"Content-Type", "application/json")
		},
		"structured event": func(w *world) {
			w.expect(http.StatusNoContent, "/events", `{"specversion":"1.0","type":"test.double","source":"//test","id":"e","data":4}`,
				"Content-Type", "application/cloudevents+json")
		},
	} {
		t.Run(name, func(t *testing.T) {
			jobs, _ := doubles()
			w := newWorld(t, jobs, nil)
			push(w)
			push(w)
			info := w.only("test.double")
			w.expect(http.StatusNoContent, "/push/execute", hint(info.ID))
			if info = w.kit.Job(info.ID); string(info.Result) != "8" {
				t.Errorf("result %s", info.Result)
			}
		})
	}
}

func TestHeadersOfEventsArePercentEncoded(t *testing.T) {
	jobs, _ := doubles()
	w := newWorld(t, jobs, nil)
	w.expect(http.StatusNoContent, "/events", "4", "Ce-Specversion", "1.0", "Ce-Type", "test.double", "Ce-Source", "//test", "Ce-Id", "e",
		"Ce-Piecetags", `caf%C3%A9%20%25, "a \"b\" %3C", \c`, "Content-Type", "application/json")
	if info := w.only("test.double"); !slices.Equal(info.Tags, []string{"café %", `a "b" <`, `\c`}) {
		t.Errorf("tags %q", info.Tags)
	}
}

func TestWhatCannotBeHandledNowComesAgain(t *testing.T) {
	jobs, runs := doubles()
	functions.Kind[int, int]("test.elsewhere").Declare(jobs)
	w := newWorld(t, jobs, nil)
	elsewhere, id := w.kit.Submit("test.elsewhere", 1), w.kit.Submit("test.double", 1)
	rec := w.expect(http.StatusServiceUnavailable, "/push/execute", hint(elsewhere))
	if after := rec.Header().Get("Retry-After"); after != "5" {
		t.Errorf("Retry-After %q", after)
	}
	w.state(elsewhere, store.Queued)
	w.away.Store(true)
	for path, body := range map[string]string{
		"/push/execute": hint(id), "/push/submit": `{"kind":"test.double","args":4}`, "/events": "no event", "/sweep": "",
	} {
		rec := w.expect(http.StatusServiceUnavailable, path, body)
		if strings.Contains(rec.Body.String(), errAway.Error()) {
			t.Errorf("what went wrong inside is told outside: %s", rec.Body)
		}
	}
	printed.Want(t, w.log.String(), errAway.Error())
	w.away.Store(false)
	if runs.Load() != 0 {
		t.Errorf("%d runs", runs.Load())
	}
	w.expect(http.StatusNoContent, "/push/execute", hint(id))
	w.state(id, store.Succeeded)
}

func TestRefusals(t *testing.T) {
	jobs, _ := doubles()
	w := newWorld(t, jobs, &cloudrun.Options{MaxBody: 100})
	w.expect(http.StatusRequestEntityTooLarge, "/push/execute", strings.Repeat("x", 101))
	printed.Want(t, w.expect(http.StatusNotFound, "/push/exceute", "").Body.String(), "/push/execute")
	for _, path := range []string{"/push/execute", "/push/submit", "/events", "/sweep"} {
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, request(t, http.MethodGet, path, ""))
		if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != http.MethodPost {
			t.Errorf("GET %s: %d, Allow %q", path, rec.Code, rec.Header().Get("Allow"))
		}
	}
}

// timed is an answer that notes until when the request's body may come.
type timed struct {
	*httptest.ResponseRecorder

	until time.Time
}

// SetReadDeadline takes note of one.
func (w *timed) SetReadDeadline(t time.Time) error { w.until = t; return nil }

// A body that does not come keeps no request for longer than half a minute, whatever becomes of the
// request.
func TestNoRouteWaitsForABodyForEver(t *testing.T) {
	jobs, _ := doubles()
	w, drained := newWorld(t, jobs, nil), newWorld(t, jobs, &cloudrun.Options{API: http.NotFoundHandler()})
	closed := newWorld(t, jobs, &cloudrun.Options{Callers: (&issuer{t: t}).callers()})
	if err := drained.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		w            *world
		method, path string
		status       int
	}{
		"execute": {w, "POST", "/push/execute", 204}, "submit": {w, "POST", "/push/submit", 204}, "events": {w, "POST", "/events", 204},
		"sweep": {w, "POST", "/sweep", 200}, "no token": {closed, "POST", "/push/execute", 401}, "method": {w, "PUT", "/sweep", 405},
		"no route": {w, "POST", "/pusch", 404}, "health": {w, "GET", "/healthz", 200}, "draining": {drained, "POST", "/events", 503},
		"API while draining": {drained, "POST", "/v1/jobs", 503},
	} {
		rec := &timed{httptest.NewRecorder(), time.Time{}}
		tt.w.ServeHTTP(rec, request(t, tt.method, tt.path, "{}"))
		if left := time.Until(rec.until); rec.Code != tt.status || left < 20*time.Second || left > 30*time.Second {
			t.Errorf("%s: status %d, %v for the body", name, rec.Code, left)
		}
	}
}

// blocks is a registry with a kind that waits for a channel or its context, and says what its
// context says.
func blocks() (jobs *functions.Registry, started chan string, release chan struct{}) {
	jobs, started, release = functions.NewRegistry(), make(chan string, 10), make(chan struct{})
	functions.Handle(jobs, "test.block", func(ctx context.Context, job *functions.Job[any]) (string, error) {
		started <- job.ID
		select {
		case <-release:
			return "released", nil
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	})
	return jobs, started, release
}

func TestBeyondTheLimitMessagesAreRefusedAtOnce(t *testing.T) {
	jobs, started, release := blocks()
	w := newWorld(t, jobs, &cloudrun.Options{Concurrency: 1})
	first, second := w.kit.Submit("test.block", nil), w.kit.Submit("test.block", nil)
	done := make(chan int)
	go func() { done <- w.post("/push/execute", hint(first)).Code }()
	<-started
	rec := w.expect(http.StatusTooManyRequests, "/push/execute", hint(second))
	if rec.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", rec.Header().Get("Retry-After"))
	}
	w.expect(http.StatusNoContent, "/push/submit", `{"kind":"test.block","key":"k"}`) // which has a limit of its own
	close(release)
	if code := <-done; code != http.StatusNoContent {
		t.Errorf("status %d", code)
	}
	w.expect(http.StatusNoContent, "/push/execute", hint(second))
	w.state(second, store.Succeeded)
}

func TestADuplicateOfARunningJobIsDropped(t *testing.T) {
	jobs, started, release := blocks()
	w := newWorld(t, jobs, nil)
	id := w.kit.Submit("test.block", nil)
	done := make(chan int)
	go func() { done <- w.post("/push/execute", hint(id)).Code }()
	<-started
	w.expect(http.StatusNoContent, "/push/execute", hint(id))
	close(release)
	<-done
	if info := w.state(id, store.Succeeded); len(info.Attempts) != 1 {
		t.Errorf("attempts: %+v", info.Attempts)
	}
}

func TestAJobGoesOnWhenItsCallerHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, started, release := blocks()
		w := newWorld(t, jobs, nil)
		id := w.kit.Submit("test.block", nil)
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodPost, "/push/execute", hint(id)).WithContext(ctx))
		}()
		<-started
		leave()
		time.Sleep(time.Minute)
		w.state(id, store.Running)
		close(release)
		<-done
		w.state(id, store.Succeeded)
	})
}

// A job that needs longer than a request may take goes on in others, from its checkpoint.
func TestAJobLongerThanTheTimeoutGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs := functions.NewRegistry()
		functions.Handle(jobs, "test.long", func(ctx context.Context, job *functions.Job[int]) (int, error) {
			var at int
			if _, err := job.LoadCheckpoint(ctx, &at); err != nil {
				return 0, err
			}
			for ; at < job.Args; at++ {
				if job.DeadlineNear() {
					return 0, functions.Continue(at)
				}
				time.Sleep(time.Second)
			}
			return at, nil
		})
		w := newWorld(t, jobs, &cloudrun.Options{Timeout: 30 * time.Second})
		id := w.kit.Submit("test.long", 100)
		requests := 0
		for start := time.Now(); w.kit.Job(id).State != store.Succeeded; requests++ {
			if requests > 10 {
				t.Fatalf("no end after %v", time.Since(start))
			}
			begin := time.Now()
			w.expect(http.StatusNoContent, "/push/execute", hint(id))
			if took := time.Since(begin); took > 25*time.Second {
				t.Errorf("a request took %v", took)
			}
		}
		if info := w.kit.Job(id); requests != 5 || string(info.Result) != "100" || info.Attempt != 1 {
			t.Errorf("%d requests, %+v", requests, info)
		}
	})
}

// A handler that takes no notice of the time is cancelled before the platform would cut it off.
func TestAJobIsCancelledBeforeTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, _, _ := blocks()
		w := newWorld(t, jobs, &cloudrun.Options{Timeout: 30 * time.Second})
		id := w.kit.Submit("test.block", nil)
		begin := time.Now()
		w.expect(http.StatusNoContent, "/push/execute", hint(id))
		if took := time.Since(begin); took > 26*time.Second {
			t.Errorf("it took %v", took)
		}
		info := w.state(id, store.Retrying)
		if len(info.Attempts) != 1 || info.Attempts[0].Outcome != store.OutcomeTimeout ||
			!strings.Contains(info.Attempts[0].Error, functions.ErrPlatformDeadline.Error()) {
			t.Errorf("attempts = %+v; want the first to end at the platform's deadline", info.Attempts)
		}
	})
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	jobs, _ := doubles()
	w := newWorld(t, jobs, nil)
	for text, opts := range map[string]cloudrun.Options{
		"Timeout is 5s":      {Timeout: 5 * time.Second},
		"Timeout is 2h":      {Timeout: 2 * time.Hour},
		"cannot be negative": {Concurrency: -1},
		"but no audience":    {Callers: cloudrun.Callers{Accounts: []string{"a@b"}}},
		"but no account":     {Callers: cloudrun.Callers{Audiences: []string{"a"}}},
		"want the e-mail":    {Callers: cloudrun.Callers{Accounts: []string{"a"}, Audiences: []string{"a"}}},
		"mutually exclusive": {Callers: cloudrun.Callers{Platform: true, Accounts: []string{"a@b"}, Audiences: []string{"a"}}},
	} {
		if _, err := cloudrun.New(w.rt, &opts); !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), text) {
			t.Errorf("want %q: %v", text, err)
		}
	}
	if _, err := cloudrun.New(nil, nil); !errors.Is(err, functions.ErrConfig) {
		t.Error(err)
	}
}
