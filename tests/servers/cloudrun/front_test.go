package cloudrun

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/piecework/piecework/tests/port"
)

// front gives requests to instances, as Cloud Run does, and knows their processes.
type front struct {
	t       *testing.T
	bin     string
	environ []string
	log     *os.File

	mu        sync.Mutex
	instances []*instance
	kills     int
	stops     int
	slowest   time.Duration // of the stops
}

// instance is one process of the server, after which another follows at the same address.
type instance struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer     // which ends it
	ended chan struct{} // closed when err is set
	err   error
}

// buildServer builds the program once for all tests.
var buildServer = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cloudrun") // shared by all tests; TestMain removes it
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "server")
	if out, err := exec.Command("go", "build", "-o", name, "./server").CombinedOutput(); err != nil {
		return name, fmt.Errorf("go build ./server: %w\n%s", err, out)
	}
	return name, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if name, err := buildServer(); err == nil {
		_ = os.RemoveAll(filepath.Dir(name))
	}
	os.Exit(status)
}

func newFront(t *testing.T, environ []string, logFile string) *front {
	t.Helper()
	bin, err := buildServer()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, bin: bin, environ: environ, log: log}
	t.Cleanup(func() {
		for _, i := range f.instances {
			if i.cmd != nil {
				_ = i.cmd.Process.Kill() // it may have ended
				<-i.ended
			}
		}
		_ = log.Close()
		if text, err := os.ReadFile(logFile); err == nil && t.Failed() {
			t.Logf("the end of the instances' log:\n%s", text[max(0, len(text)-12_000):])
		}
	})
	return f
}

// grow adds instances.
func (f *front) grow(n int) {
	f.t.Helper()
	for range n {
		i := &instance{addr: port.Address(port.Free(f.t))}
		f.mu.Lock()
		f.instances = append(f.instances, i)
		f.mu.Unlock()
		f.start(i)
		f.await(i)
	}
}

// url is where one of the instances is, which may be down.
func (f *front) url(random uint64) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return "http://" + f.instances[random%uint64(len(f.instances))].addr
}

// start starts an instance, without a command, as Cloud Run does.
func (f *front) start(i *instance) {
	f.t.Helper()
	f.run(i, append(f.environ, "PIECEWORK_ADDR="+i.addr))
}

// run starts a process of the program.
func (f *front) run(i *instance, environ []string, args ...string) {
	f.t.Helper()
	cmd := exec.Command(f.bin, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, f.log, f.log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	ended := make(chan struct{})
	i.cmd, i.stdin, i.ended = cmd, stdin, ended
	go func() {
		i.err = cmd.Wait()
		close(ended)
	}()
}

// await waits until an instance answers its probe.
func (f *front) await(i *instance) {
	f.t.Helper()
	for limit := time.After(time.Minute); ; {
		if res, err := http.Get("http://" + i.addr + "/healthz"); err == nil {
			if _ = res.Body.Close(); res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-i.ended:
			f.t.Fatalf("an instance has ended by itself: %v", i.err)
		case <-limit:
			f.t.Fatal("an instance does not answer its probe")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// kill ends an instance in the middle of whatever it does.
func (f *front) kill(i *instance) {
	f.t.Helper()
	f.alive(i)
	if err := i.cmd.Process.Kill(); err != nil {
		f.t.Fatal(err)
	}
	<-i.ended
	f.kills++
}

// stop tells an instance to end, as Cloud Run does, which then leaves it 10 seconds.
func (f *front) stop(i *instance) {
	f.t.Helper()
	f.alive(i)
	begin := time.Now()
	if err := i.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		f.t.Fatal(err)
	}
	select {
	case <-i.ended:
	case <-time.After(30 * time.Second):
		f.t.Fatal("an instance has not ended within 30 seconds of SIGTERM")
	}
	took := time.Since(begin)
	f.slowest = max(f.slowest, took)
	if f.stops++; took > 10*time.Second {
		f.t.Errorf("an instance needed %v to end, longer than Cloud Run lets it", took)
	}
	if i.err != nil {
		f.t.Errorf("an instance, told to stop: %v", i.err)
	}
}

// stopAll stops all instances.
func (f *front) stopAll() {
	f.t.Helper()
	for _, i := range f.instances {
		f.stop(i)
	}
}

// alive fails the test if an instance has ended that nobody has told to.
func (f *front) alive(i *instance) {
	f.t.Helper()
	select {
	case <-i.ended:
		f.t.Fatalf("an instance has ended by itself: %v", i.err)
	default:
	}
}
