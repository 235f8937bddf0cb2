package cloudrun_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
	"github.com/piecework/piecework/tests/printed"
)

// world is a server over a system in memory.
type world struct {
	*cloudrun.Server

	t    *testing.T
	kit  *kit.Kit
	rt   *functions.Runtime
	away atomic.Bool  // the store does not answer
	slow atomic.Int64 // how many nanoseconds a query takes
	log  printed.Text
}

var errAway = errors.New("the store is away")

func newWorld(t *testing.T, jobs *functions.Registry, opts *cloudrun.Options) *world {
	t.Helper()
	w := &world{t: t}
	hooks := relay.Hooks{Actions: func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if !w.away.Load() {
			return next(ctx, acts)
		}
		var errs driver.ActionListError
		for i := range acts {
			errs = append(errs, struct {
				Index int
				Err   error
			}{i, errAway})
		}
		return errs
	}, Query: func(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error) {
		if w.away.Load() {
			return nil, errAway
		}
		time.Sleep(time.Duration(w.slow.Load())) // in virtual time
		return next(ctx, q)
	}}
	log := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.kit = kit.New(t, jobs, kit.WallClock(), kit.Log(log), kit.Hooks(hooks),
		kit.Store(store.Options{Pause: func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }}))
	w.rt = w.kit.Runtime()
	var err error
	if w.Server, err = cloudrun.New(w.rt, opts); err != nil {
		t.Fatal(err)
	}
	return w
}

// request is one from this machine.
func request(t *testing.T, method, path, body string, headers ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:50000"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// post sends a request and returns the answer.
func (w *world) post(path, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, request(w.t, http.MethodPost, path, body, headers...))
	return rec
}

// expect sends a request and checks the status.
func (w *world) expect(status int, path, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	rec := w.post(path, body, headers...)
	if rec.Code != status {
		w.t.Fatalf("%s: status %d, want %d: %s\n%s", path, rec.Code, status, rec.Body, w.log.String())
	}
	return rec
}

// hint is the message of a job.
func hint(id string) string { return fmt.Sprintf(`{"id":%q}`, id) }

// wrap puts a message in Pub/Sub's envelope.
func wrap(id, data string, attributes map[string]string) string {
	message := map[string]any{"messageId": id, "message_id": id, "publishTime": "2026-11-21T12:00:00Z", "attributes": attributes}
	if data != "" {
		message["data"] = base64.StdEncoding.EncodeToString([]byte(data))
	}
	text, err := json.Marshal(map[string]any{
		"message": message, "subscription": "projects/p/subscriptions/piecework-default", "deliveryAttempt": 5, // the last of what nobody knows
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// state checks a job's state.
func (w *world) state(id string, want store.State) functions.Info {
	w.t.Helper()
	info := w.kit.Job(id)
	if info.State != want {
		w.t.Errorf("state %s, want %s:\n%s", info.State, want, kit.History(info))
	}
	return info
}

// only returns the one job of a kind.
func (w *world) only(kind string) functions.Info {
	w.t.Helper()
	page, err := w.rt.Client().List(w.t.Context(), functions.ListFilter{Kind: kind})
	if err != nil || len(page.Jobs) != 1 {
		w.t.Fatalf("want one job of %s: %+v, %v\n%s", kind, page.Jobs, err, w.log.String())
	}
	return w.kit.Job(page.Jobs[0].ID)
}

// contains checks that a text has some others in it.

// doubles is a registry with a kind that doubles a number, and counts its runs.
func doubles() (*functions.Registry, *atomic.Int64) {
	jobs, runs := functions.NewRegistry(), &atomic.Int64{}
	functions.Handle(jobs, "test.double", func(_ context.Context, job *functions.Job[int]) (int, error) {
		runs.Add(1)
		return 2 * job.Args, nil
	})
	return jobs, runs
}
