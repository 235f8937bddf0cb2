package aws_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

type object = map[string]any

// stub answers requests of AWS's JSON protocol, by the name of the operation, and keeps them.
type stub struct {
	url     string
	mu      sync.Mutex
	asked   map[string][]object
	answers map[string]func(n int, req object) (int, object)
	told    chan string // names of operations, as they come
}

func newStub(t *testing.T, answers map[string]func(n int, req object) (int, object)) *stub {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	s := &stub{asked: map[string][]object{}, answers: answers, told: make(chan string, 1000)}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *stub) serve(w http.ResponseWriter, r *http.Request) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var req object
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, &req)
	s.mu.Lock()
	n := len(s.asked[op])
	s.asked[op] = append(s.asked[op], req)
	answer := s.answers[op]
	s.mu.Unlock()
	status, out := http.StatusBadRequest, object{"__type": "Unexpected", "message": op}
	if answer != nil {
		status, out = answer(n, req)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	text, _ := json.Marshal(out) //nolint:errchkjson // what tests answer can be written
	_, _ = w.Write(text)
	select {
	case s.told <- op:
	default:
	}
}

// requests returns what was asked of an operation so far.
func (s *stub) requests(op string) []object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[op]
}

// host is the stub's host and port.
func (s *stub) host() string { return strings.TrimPrefix(s.url, "http://") }

func ok(out object) func(int, object) (int, object) {
	return func(int, object) (int, object) { return http.StatusOK, out }
}
