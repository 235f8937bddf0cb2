package httpapi_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

func TestWaitAnswersWhenTheJobEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		id := d.submit(t, `{"kind":"test.order"}`)
		start := time.Now()
		answer := make(chan *httptest.ResponseRecorder)
		go func() { answer <- d.ask(t, "GET", "/v1/jobs/"+id+"/wait?timeout=50s", "") }()
		<-time.After(10 * time.Second)
		d.kit.Drain()
		got := want[wire.Waited](t, <-answer, 200)
		if !got.Done || got.Job.State != store.Succeeded || time.Since(start) > 13*time.Second {
			t.Errorf("%+v after %v", got, time.Since(start))
		}
	})
}

func TestWaitEndsAfterItsTimeout(t *testing.T) {
	for query, limit := range map[string]time.Duration{"": 30 * time.Second, "?timeout=7s": 7 * time.Second, "?timeout=1000h": time.Minute, "?timeout=0s": 0} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, nil)
			id := d.submit(t, `{"kind":"test.order"}`)
			start := time.Now()
			got := want[wire.Waited](t, d.ask(t, "GET", "/v1/jobs/"+id+"/wait"+query, ""), 200)
			if got.Done || got.Job.ID != id || time.Since(start) != limit {
				t.Errorf("%q: done %v of %q after %v, want %v", query, got.Done, got.Job.ID, time.Since(start), limit)
			}
		})
	}
}

func TestWaitRefusals(t *testing.T) {
	d := newDesk(t, nil)
	refused(t, d.ask(t, "GET", "/v1/jobs/job-none/wait", ""), 404, "no such job")
	refused(t, d.ask(t, "GET", "/v1/jobs/kinds/wait", ""), 404, "not a job's id")
	id := d.submit(t, `{"kind":"test.order"}`)
	refused(t, d.ask(t, "GET", "/v1/jobs/"+id+"/wait?timeout=long", ""), 400, "query.timeout")
	refused(t, d.ask(t, "GET", "/v1/jobs/"+id+"/wait?timout=1s", ""), 400, `did you mean "timeout"?`)
}

// A platform that ends requests early gets an answer before it does.
func TestWaitEndsBeforeThePlatformsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		id := d.submit(t, `{"kind":"test.order"}`)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "GET", "http://127.0.0.1/v1/jobs/"+id+"/wait", nil)
		r.RemoteAddr = "127.0.0.1:50000"
		w := httptest.NewRecorder()
		start := time.Now()
		d.ServeHTTP(w, r)
		if got := want[wire.Waited](t, w, 200); got.Done || time.Since(start) != 8*time.Second {
			t.Errorf("done %v after %v", got.Done, time.Since(start))
		}
	})
}
