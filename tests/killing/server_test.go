package killing

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/functions/httpapi/apiclient"
)

// build makes the command.
func build(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "piecework")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", name, "github.com/piecework/piecework/localdev/piecework").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return name
}

// server is one process of the command; another follows when it is killed.
type server struct {
	t    *testing.T
	name string
	dir  string
	log  *os.File

	mu     sync.Mutex
	cmd    *exec.Cmd
	client *apiclient.Client
	up     chan struct{} // closed when there is a client
}

func newServer(t *testing.T) *server {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("the end of the servers' log:\n%s", text[max(0, len(text)-10_000):])
		}
	})
	return &server{t: t, name: build(t), dir: t.TempDir(), log: log, up: make(chan struct{})}
}

// start starts a process, and returns when it listens.
func (s *server) start() {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.name, "up", "--json", "--addr", "127.0.0.1:0", "--dir", s.dir)
	cmd.Stderr = s.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var hello struct {
		URL string `json:"url"`
	}
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&hello); err != nil {
		_ = cmd.Process.Kill()
		s.t.Fatalf("the server said nothing sensible: %v", err)
	}
	client, err := apiclient.New(hello.URL, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd, s.client = cmd, client
	close(s.up)
}

// kill kills the process; gently asks it to end some time before, so that it dies while it drains.
func (s *server) kill(gently time.Duration) {
	s.t.Helper()
	if gently > 0 {
		_ = s.cmd.Process.Signal(os.Interrupt)
		pause(s.t.Context(), gently)
	}
	s.mu.Lock()
	s.client, s.up = nil, make(chan struct{})
	s.mu.Unlock()
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatal(err)
	}
	_ = s.cmd.Wait() // it was killed, which is an error
}

// stop ends the process in good order.
func (s *server) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 130 {
			s.t.Errorf("the server ended with: %v", err)
		}
	}
}

// reach returns a client of the process that is up, when there is one.
func (s *server) reach(ctx context.Context) (*apiclient.Client, error) {
	for {
		s.mu.Lock()
		client, up := s.client, s.up
		s.mu.Unlock()
		if client != nil {
			return client, nil
		}
		select {
		case <-up:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pause waits for real time to pass, which is what a process is killed after.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// storeURL names the store of the server's data directory.
func (s *server) storeURL() string {
	return "sqlite://" + strings.ReplaceAll(filepath.ToSlash(filepath.Join(s.dir, "piecework.db")), "%", "%25")
}
