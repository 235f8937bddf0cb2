package onlambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/infra/program"
	"github.com/piecework/piecework/infra/program/onlambda"
)

// beFunction makes this test's program a function on Lambda instead.
const beFunction = "PIECEWORK_TEST_BE_LAMBDA"

func TestMain(m *testing.M) {
	if os.Getenv(beFunction) != "" {
		os.Args = os.Args[:1]
		onlambda.Main(kinds(), drivery()...)
	}
	os.Exit(m.Run())
}

func drivery() []func(*drivers.Set) {
	return []func(*drivers.Set){sql.Register, files.Register, mem.Register}
}

func kinds() *functions.Registry {
	reg := functions.NewRegistry()
	functions.Handle(reg, "test.double", func(_ context.Context, job *functions.Job[int]) (int, error) { return 2 * job.Args, nil })
	functions.Handle(reg, "test.wait", func(ctx context.Context, _ *functions.Job[int]) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	return reg
}

// service is Lambda's side: the Runtime API of one execution environment.
type service struct {
	t    *testing.T
	host string
	next chan invocation

	mu       sync.Mutex
	answers  map[string]chan reply
	initFail chan reply
	sigterm  chan struct{} // closed when the process has asked for SIGTERM
}

type invocation struct {
	id, payload string
	deadline    time.Time
}

// reply is what the process posted.
type reply struct {
	failed      bool
	body        string
	contentType string
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, next: make(chan invocation), answers: map[string]chan reply{}, initFail: make(chan reply, 1), sigterm: make(chan struct{})}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	posted := reply{body: string(body), contentType: r.Header.Get("Content-Type")}
	switch path := strings.TrimPrefix(r.URL.Path, "/2018-06-01/runtime/"); {
	case path == "invocation/next":
		select {
		case i := <-s.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", i.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(i.deadline.UnixMilli()))
			_, _ = io.WriteString(w, i.payload)
		case <-r.Context().Done():
		}
	case path == "init/error":
		s.initFail <- posted
		w.WriteHeader(http.StatusAccepted)
	case strings.HasPrefix(path, "invocation/"):
		parts := strings.Split(path, "/")
		posted.failed = parts[2] == "error"
		s.mu.Lock()
		s.answers[parts[1]] <- posted
		s.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	case path == "/2020-01-01/extension/register":
		w.Header().Set("Lambda-Extension-Identifier", "x")
		close(s.sigterm)
	default:
		<-r.Context().Done()
	}
}

// begin lets the process have an invocation, and returns where its answer will come.
func (s *service) begin(payload string, timeout time.Duration) chan reply {
	s.t.Helper()
	s.mu.Lock()
	i := invocation{fmt.Sprint("request-", len(s.answers)), payload, time.Now().Add(timeout)}
	answer := make(chan reply, 1)
	s.answers[i.id] = answer
	s.mu.Unlock()
	select {
	case s.next <- i:
	case <-time.After(patience):
		s.t.Fatal("the process does not ask for an invocation")
	}
	return answer
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// invoke lets the process have an invocation, and returns its answer.
func (s *service) invoke(payload string) reply {
	s.t.Helper()
	return await(s.t, s.begin(payload, time.Minute), "an answer")
}

func await[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("not reached")
	}
}

// world is a deployment in a directory.
type world struct {
	t   *testing.T
	env map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := filepath.ToSlash(t.TempDir())
	return &world{t, map[string]string{
		"PIECEWORK_STORE": "sqlite://" + dir + "/records.db", "PIECEWORK_QUEUES": "mem://piecework-{queue}", "PIECEWORK_BLOBS": "file://" + dir + "/blobs",
	}}
}

// environ is the environment of a process, with some variables more.
func (w *world) environ(more ...string) []string {
	var environ []string
	for name, value := range w.env {
		environ = append(environ, name+"="+value)
	}
	return append(environ, more...)
}

// open opens the deployment in this process, to look.
func (w *world) open() *functions.Client {
	w.t.Helper()
	d, err := program.Open(w.t.Context(), w.environ(), io.Discard, kinds(), drivery()...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = d.Close(context.WithoutCancel(w.t.Context())) })
	return d.Runtime.Client()
}

// process is a function's process.
type process struct {
	*service

	cmd  *exec.Cmd
	errs *bytes.Buffer // read it when the process has ended
	done chan error
}

// start starts a function's process.
func (w *world) start(function string, more ...string) *process {
	w.t.Helper()
	p := &process{service: newService(w.t), errs: &bytes.Buffer{}, done: make(chan error, 1)}
	p.cmd = exec.CommandContext(w.t.Context(), os.Args[0])
	p.cmd.Env = w.environ(append(more, "AWS_LAMBDA_RUNTIME_API="+p.host, "PIECEWORK_FUNCTION="+function, beFunction+"=1", "GORACE=atexit_sleep_ms=0",
		"AWS_LAMBDA_LOG_STREAM_NAME=2026/11/22/[$LATEST]0123")...)
	p.cmd.Stderr, p.cmd.Stdout = p.errs, p.errs
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	w.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

// terminate ends the process as Lambda does, and returns how long it took.
func (p *process) terminate() time.Duration {
	p.t.Helper()
	await(p.t, p.sigterm, "the request to be sent SIGTERM")
	start := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if err := await(p.t, p.done, "the end of the process"); err != nil {
		p.t.Errorf("the process ended with %v: %s", err, p.errs)
	}
	p.done <- nil // for the cleanup
	return time.Since(start)
}

// sqsEvent is an event of SQS, with a message of each body.
func sqsEvent(t *testing.T, arn string, bodies ...string) string {
	t.Helper()
	var records []map[string]any
	for i, body := range bodies {
		records = append(records, map[string]any{
			"messageId": fmt.Sprint("m", i), "receiptHandle": "h", "body": body, "eventSource": "aws:sqs", "eventSourceARN": arn, "awsRegion": "eu-central-1",
			"attributes": map[string]string{"ApproximateReceiveCount": "1"}, "messageAttributes": map[string]any{},
		})
	}
	text, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
