package cloudrun_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/store"
)

func TestListenRefusesAnOpenAddressWithoutAccounts(t *testing.T) {
	jobs, _ := doubles()
	i := &issuer{t: t}
	for name, tt := range map[string]struct {
		callers cloudrun.Callers
		addr    string
		ok      bool
	}{
		"loopback": {cloudrun.Callers{}, "127.0.0.1:0", true}, "name": {cloudrun.Callers{}, "localhost:0", true},
		"all": {cloudrun.Callers{}, ":0", false}, "any": {cloudrun.Callers{}, "0.0.0.0:0", false}, "no port": {cloudrun.Callers{}, "127.0.0.1", false},
		"platform": {cloudrun.Callers{Platform: true}, ":0", true}, "accounts": {i.callers(), ":0", true},
	} {
		w := newWorld(t, jobs, &cloudrun.Options{Callers: tt.callers})
		ln, err := w.Listen(t.Context(), tt.addr)
		if ln != nil {
			_ = ln.Close()
		}
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, functions.ErrConfig) {
			t.Errorf("name = %s, error = %v; want (err == nil) = tt.ok and no error or error ErrConfig", name, err)
		}
	}
}

// served is a server that listens.
type served struct {
	*world

	url  string
	stop context.CancelFunc
	done chan error
}

func serve(t *testing.T, w *world) *served {
	t.Helper()
	ln, err := w.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{world: w, url: "http://" + ln.Addr().String(), done: make(chan error, 1)}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(t.Context())
	go func() { s.done <- w.Serve(ctx, ln) }()
	t.Cleanup(s.stop)
	return s
}

// ends waits for the server to end.
func (s *served) ends() error {
	s.t.Helper()
	s.stop()
	select {
	case err := <-s.done:
		return err
	case <-time.After(30 * time.Second):
		s.t.Fatal("it does not end")
		return nil
	}
}

// untilUnhealthy waits until the server says that it takes no more.
func (s *served) untilUnhealthy() {
	s.t.Helper()
	for limit := time.After(10 * time.Second); ; {
		rec := httptest.NewRecorder()
		if s.ServeHTTP(rec, request(s.t, http.MethodGet, "/healthz", "")); rec.Code == http.StatusServiceUnavailable {
			return
		}
		select {
		case <-limit:
			s.t.Fatal("it says that it is healthy")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestServesBothVersionsOfHTTP(t *testing.T) {
	jobs, _ := doubles()
	s := serve(t, newWorld(t, jobs, nil))
	for version, set := range map[int]func(*http.Protocols){
		1: func(p *http.Protocols) { p.SetHTTP1(true) }, 2: func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		var protocols http.Protocols
		set(&protocols)
		transport := &http.Transport{Protocols: &protocols}
		client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
		id := s.kit.Submit("test.double", 4)
		res, err := client.Post(s.url+"/push/execute", "application/json", strings.NewReader(wrap("1", hint(id), nil)))
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != http.StatusNoContent || res.ProtoMajor != version {
			t.Errorf("%s: status %d by %s", s.url, res.StatusCode, res.Proto)
		}
		s.state(id, store.Succeeded)
		transport.CloseIdleConnections()
	}
	if err := s.ends(); err != nil {
		t.Error(err)
	}
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), time.Second); err == nil {
		t.Error("it still listens")
	}
}

func TestDrainLetsRunningJobsFinish(t *testing.T) {
	jobs, started, release := blocks()
	s := serve(t, newWorld(t, jobs, nil))
	id := s.kit.Submit("test.block", nil)
	status := make(chan int, 1)
	go func() {
		res, err := http.Post(s.url+"/push/execute", "application/json", strings.NewReader(hint(id)))
		if err != nil {
			t.Error(err)
			close(status)
			return
		}
		_ = res.Body.Close()
		status <- res.StatusCode
	}()
	<-started
	s.stop()
	s.untilUnhealthy()
	s.expect(http.StatusServiceUnavailable, "/push/submit", `{"kind":"test.block"}`)
	close(release)
	if got := <-status; got != http.StatusNoContent {
		t.Errorf("status %d", got)
	}
	if err := s.ends(); err != nil {
		t.Error(err)
	}
	s.state(id, store.Succeeded)
}

func TestDrainHandsBackWhatDoesNotFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, started, _ := blocks()
		var near time.Time
		functions.Handle(jobs, "test.careful", func(ctx context.Context, job *functions.Job[any]) (any, error) {
			started <- job.ID
			for !job.DeadlineNear() {
				time.Sleep(100 * time.Millisecond)
			}
			near = time.Now()
			return nil, functions.Continue(map[string]int{"at": 3})
		})
		w := newWorld(t, jobs, nil)
		stubborn, careful := w.kit.Submit("test.block", nil), w.kit.Submit("test.careful", nil)
		codes := make(chan int, 2)
		for _, id := range []string{stubborn, careful} {
			go func() { codes <- w.post("/push/execute", hint(id)).Code }()
			<-started
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		if err := w.Drain(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took < 5*time.Second || took > 6*time.Second || near.Sub(begin) > time.Second {
			t.Errorf("it took %v; the careful handler was told after %v", took, near.Sub(begin))
		}
		for range 2 {
			if code := <-codes; code != http.StatusNoContent {
				t.Errorf("status %d", code)
			}
		}
		for _, id := range []string{stubborn, careful} {
			info := w.state(id, store.Queued)
			if n := len(info.Attempts); n != 1 || info.Attempts[0].Outcome != store.OutcomeHandBack && info.Attempts[0].Outcome != store.OutcomeContinued {
				t.Errorf("attempts: %+v", info.Attempts)
			}
		}
	})
}

func TestAHandlerThatDoesNotReturnIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, started, release := functions.NewRegistry(), make(chan struct{}), make(chan struct{})
		functions.Handle(jobs, "test.deaf", func(context.Context, *functions.Job[any]) (any, error) {
			close(started)
			<-release
			return "late", nil
		})
		w := newWorld(t, jobs, nil)
		id := w.kit.Submit("test.deaf", nil)
		done := make(chan struct{})
		go func() { defer close(done); w.post("/push/execute", hint(id)) }()
		<-started
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		if err := w.Drain(ctx); err == nil {
			t.Error("nobody is told that something was left behind")
		}
		w.state(id, store.Running)
		close(release)
		<-done
	})
}

func TestSweepSaysWhatItDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, _ := doubles()
		w := newWorld(t, jobs, nil)
		for range 3 {
			w.kit.Submit("test.double", 1, functions.After(time.Minute))
		}
		var res functions.SweepResult
		sweep := func() {
			t.Helper()
			rec := w.expect(http.StatusOK, "/sweep", "{}")
			res = functions.SweepResult{}
			if err := json.Unmarshal(rec.Body.Bytes(), &res); err != nil || rec.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("error = %v, answer = %s; want no error and rec.Header().Get(\"Content-Type\") = \"application/json\"", err, rec.Body)
			}
		}
		if sweep(); res.Looked != 0 {
			t.Errorf("result = %+v; want Looked = 0", res)
		}
		time.Sleep(2 * time.Minute)
		if sweep(); res.Looked != 3 || res.Started != 3 || res.More || res.Lag < functions.Duration(59*time.Second) {
			t.Errorf("result = %+v; want Looked = 3, Started = 3, not More and Lag >= 59*Second", res)
		}
		if sent := w.kit.Messages(); len(sent) != 3 {
			t.Errorf("%d messages, want 3", len(sent))
		}
	})
}

// A sweep that runs out of time says so, and others do the rest.
func TestASweepIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, _ := doubles()
		w := newWorld(t, jobs, &cloudrun.Options{SweepFor: 10 * time.Second})
		const all = 50
		for range all {
			w.kit.Submit("test.double", 1, functions.After(time.Minute))
		}
		time.Sleep(2 * time.Minute)
		w.slow.Store(int64(4 * time.Second))
		started, bounded := 0, 0
		for n := 0; started < all; n++ {
			if n > 0 {
				w.slow.Store(int64(time.Millisecond))
			}
			begin := time.Now()
			var res functions.SweepResult
			if err := json.Unmarshal(w.expect(http.StatusOK, "/sweep", "").Body.Bytes(), &res); err != nil || n > 2 {
				t.Fatalf("after %d sweeps: %+v, %v", n, res, err)
			}
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
			started += res.Started
			if res.More {
				bounded++
			}
		}
		if bounded != 1 {
			t.Errorf("%d sweeps ran out of time", bounded)
		}
	})
}

// A sweep whose request has no time left ends then, and not when it might have, had there been
// time.
func TestASweepEndsWithItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, _ := doubles()
		w := newWorld(t, jobs, &cloudrun.Options{Timeout: 15 * time.Second, SweepFor: time.Hour})
		for range 50 {
			w.kit.Submit("test.double", 1, functions.After(time.Minute))
		}
		time.Sleep(2 * time.Minute)
		w.slow.Store(int64(4 * time.Second))
		begin := time.Now()
		rec := w.expect(http.StatusOK, "/sweep", "")
		var res functions.SweepResult
		if err := json.Unmarshal(rec.Body.Bytes(), &res); err != nil || !res.More || res.Looked == 0 {
			t.Errorf("error = %v, answer = %s; want no error, More and Looked other than 0", err, rec.Body)
		}
		if took := time.Since(begin); took < 15*time.Second || took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// What waits for a job's end by the API is told at once, to ask another server; where the API is
// behind a handler of somebody's own, once running jobs are cancelled.
func TestDrainEndsWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		wrap   func(api *httpapi.API) http.Handler
		status int
		after  time.Duration
	}{
		"API":     {func(api *httpapi.API) http.Handler { return api }, http.StatusOK, 0},
		"wrapped": {func(api *httpapi.API) http.Handler { return http.MaxBytesHandler(api, 1<<20) }, http.StatusServiceUnavailable, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				jobs, _ := doubles()
				w := newWorld(t, jobs, nil)
				api, err := httpapi.New(w.rt, nil)
				if err != nil {
					t.Fatal(err)
				}
				if w.Server, err = cloudrun.New(w.rt, &cloudrun.Options{API: tt.wrap(api)}); err != nil {
					t.Fatal(err)
				}
				id, rec, begin := w.kit.Submit("test.double", 1), httptest.NewRecorder(), time.Now()
				answered := make(chan time.Duration, 1)
				go func() {
					w.ServeHTTP(rec, request(t, http.MethodGet, "/v1/jobs/"+id+"/wait?timeout=60s", ""))
					answered <- time.Since(begin)
				}()
				synctest.Wait()
				if err := w.Drain(t.Context()); err != nil {
					t.Error(err)
				}
				if took := <-answered; rec.Code != tt.status || took != tt.after {
					t.Errorf("status %d after %v: %s", rec.Code, took, rec.Body)
				}
			})
		})
	}
}

func TestTheAPIIsOnTheSamePort(t *testing.T) {
	jobs, _ := doubles()
	const token = "operator-0123456789"
	var api *httpapi.API // which needs the runtime that the world makes
	w := newWorld(t, jobs, &cloudrun.Options{API: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { api.ServeHTTP(rw, r) })})
	var err error
	if api, err = httpapi.New(w.rt, &httpapi.Options{Tokens: []httpapi.Token{{Value: token, Role: httpapi.Operator}}}); err != nil {
		t.Fatal(err)
	}
	s := serve(t, w)
	for auth, want := range map[string]int{"": http.StatusUnauthorized, "Bearer " + token: http.StatusCreated} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/jobs", bytes.NewBufferString(`{"kind":"test.double","args":2}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", auth)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("status %d: %s", res.StatusCode, text)
		}
	}
	if res, err := http.Get(s.url + "/healthz"); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("result = %+v, error = %v; want no error and StatusCode = StatusOK", res, err)
	}
	if err := s.ends(); err != nil {
		t.Error(err)
	}
}
