package push

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// endpoint answers pushes as the test says, and keeps what it got.
type endpoint struct {
	*httptest.Server

	mu       sync.Mutex
	answer   func(n int) int // the status of the n-th request; 0: none in time
	requests []*http.Request
	bodies   []string
	times    []time.Time
}

func newEndpoint(t *testing.T, answer func(n int) int) *endpoint {
	t.Helper()
	e := &endpoint{answer: answer}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.requests, e.bodies, e.times = append(e.requests, r), append(e.bodies, string(body)), append(e.times, time.Now())
		status := e.answer(len(e.requests))
		e.mu.Unlock()
		if status == 0 {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) subscription(change func(*Config)) *Subscription {
	cfg := Config{
		Name: "projects/p/subscriptions/s", Endpoint: func(context.Context) string { return e.URL }, Client: e.Client(),
		Token: func() (string, error) { return "token", nil }, Rand: rand.Uint64,
		AckDeadline: 10 * time.Second, MinBackoff: 10 * time.Millisecond, MaxBackoff: 40 * time.Millisecond, Outstanding: 4,
	}
	if change != nil {
		change(&cfg)
	}
	return New(cfg)
}

var sample = Message{ID: "7", Data: []byte("hello"), Attributes: map[string]string{"Origin": "crm"}, Published: time.Unix(1e9, 0)}

func TestOnlyTheDocumentedStatusesAcknowledge(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204, 203, 205, 206, 301, 400, 401, 404, 429, 500, 503} {
		e := newEndpoint(t, func(n int) int {
			if n == 1 {
				return status
			}
			return 204
		})
		s := e.subscription(func(c *Config) {
			client := *c.Client
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			c.Client = &client
		})
		s.Publish(t.Context(), sample)
		s.Wait()
		want := 2
		if slices.Contains([]int{200, 201, 202, 204}, status) {
			want = 1
		}
		if len(e.requests) != want {
			t.Errorf("status %d: %d requests, want %d", status, len(e.requests), want)
		}
	}
}

func TestMessagesComeAgainWithABackoffThatDoubles(t *testing.T) {
	e := newEndpoint(t, func(n int) int {
		if n < 6 {
			return 503
		}
		return 204
	})
	s := e.subscription(nil)
	s.Publish(t.Context(), sample)
	s.Wait()
	if len(e.times) != 6 {
		t.Fatalf("%d requests", len(e.times))
	}
	for n, least := range []int{5, 10, 20, 20, 20} { // half of 10, 20, 40, 40, 40 ms
		if gap := e.times[n+1].Sub(e.times[n]); gap < time.Duration(least)*time.Millisecond {
			t.Errorf("attempt %d came after %v", n+2, gap)
		}
	}
}

func TestAMessageDiesAfterItsLastAttempt(t *testing.T) {
	e := newEndpoint(t, func(int) int { return 500 })
	s := e.subscription(func(c *Config) { c.MaxAttempts, c.Duplicates = 3, 1 })
	s.Publish(t.Context(), sample)
	s.Wait()
	if dead := s.Dead(); len(dead) != 1 || dead[0].ID != "7" || len(e.requests) != 6 || s.Figures.Duplicates.Load() != 1 {
		t.Errorf("%d dead letters after %d requests", len(dead), len(e.requests))
	}
}

func TestWhatIsNotAnsweredInTimeComesAgain(t *testing.T) {
	e := newEndpoint(t, func(n int) int { return 204 * (n - 1) })
	s := e.subscription(func(c *Config) { c.AckDeadline = 50 * time.Millisecond })
	s.Publish(t.Context(), sample)
	s.Wait()
	if s.Figures.Late.Load() != 1 || s.Figures.Acks.Load() != 1 {
		t.Errorf("%d late, %d acknowledged", s.Figures.Late.Load(), s.Figures.Acks.Load())
	}
}

func TestTheFormsOfAPush(t *testing.T) {
	e := newEndpoint(t, func(int) int { return 204 })
	for _, unwrapped := range []bool{false, true} {
		s := e.subscription(func(c *Config) { c.Unwrapped, c.MaxAttempts = unwrapped, 5 })
		s.Publish(t.Context(), sample)
		s.Wait()
	}
	var envelope struct {
		Message struct {
			Data       []byte            `json:"data"`
			Attributes map[string]string `json:"attributes"`
			MessageID  string            `json:"messageId"`
		} `json:"message"`
		Subscription    string `json:"subscription"`
		DeliveryAttempt int    `json:"deliveryAttempt"`
	}
	if err := json.Unmarshal([]byte(e.bodies[0]), &envelope); err != nil {
		t.Fatal(err)
	}
	if m := envelope.Message; string(m.Data) != "hello" || m.Attributes["Origin"] != "crm" || m.MessageID != "7" ||
		envelope.Subscription != "projects/p/subscriptions/s" || envelope.DeliveryAttempt != 1 {
		t.Errorf("envelope %s, want the message 7 with body, origin and subscription, delivered once", e.bodies[0])
	}
	h := e.requests[1].Header
	if e.bodies[1] != "hello" || h.Get("Origin") != "crm" || h.Get("X-Goog-Pubsub-Message-Id") != "7" {
		t.Errorf(`got %q, %v, want e.bodies[1] == "hello" && h.Get("Origin") == "crm" && h.Get("X-Goog-Pubsub-Message-Id") == "7"`, e.bodies[1], h)
	}
	for _, r := range e.requests {
		if r.Header.Get("Authorization") != "Bearer token" || r.Method != http.MethodPost {
			t.Errorf(`got %s %v, want r.Header.Get("Authorization") == "Bearer token" && r.Method == http.MethodPost`, r.Method, r.Header)
		}
	}
}

func TestEachForgedTokenIsAnother(t *testing.T) {
	i, err := NewIssuer("https://accounts.google.com")
	if err != nil {
		t.Fatal(err)
	}
	forged, err := i.Forge("a@b", "c")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range forged {
		if seen[f.Token] {
			err = errors.Join(err, errors.New(f.Name))
		}
		seen[f.Token] = true
	}
	if err != nil || len(forged) < 10 {
		t.Errorf("%d tokens, %v", len(forged), err)
	}
}
