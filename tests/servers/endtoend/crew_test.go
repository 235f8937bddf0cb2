package endtoend

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// members are the processes of a deployment, by their command.
var members = []string{"worker", "worker", "worker", "sweep"}

// running is what a process says when it runs, and knows how to stop: a worker, or another.
var running = regexp.MustCompile(`worker starts| is running`)

// crew are the processes of a deployment.
type crew struct {
	t       *testing.T
	bin     string
	environ []string
	log     *os.File
	members []*member
	kills   int
}

// member is one process, after which another follows when it is killed.
type member struct {
	command string
	cmd     *exec.Cmd
	stdin   io.Closer     // which ends it
	runs    chan struct{} // closed when it says so
	ended   chan struct{} // closed when err is set
	err     error
}

// said closes a channel when a text has been written, and hands on what is written.
type said struct {
	text *regexp.Regexp
	done chan struct{} // nil: it was
	held []byte
	to   io.Writer
}

func (s *said) Write(p []byte) (int, error) {
	if s.done != nil {
		if s.held = append(s.held, p...); s.text.Match(s.held) {
			close(s.done)
			s.done, s.held = nil, nil
		}
	}
	return s.to.Write(p)
}

func newCrew(t *testing.T, bin string, environ []string, logFile string) *crew {
	t.Helper()
	log, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	c := &crew{t: t, bin: bin, environ: environ, log: log}
	for _, command := range members {
		c.members = append(c.members, &member{command: command})
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			if m.cmd != nil {
				_ = m.cmd.Process.Kill() // it may have ended
				<-m.ended
			}
		}
		log.Close()
		if text, err := os.ReadFile(logFile); err == nil && t.Failed() {
			t.Logf("the end of the processes' log:\n%s", text[max(0, len(text)-12_000):])
		}
	})
	return c
}

// runToEnd runs a command of the program that ends by itself.
func (c *crew) runToEnd(command string) {
	c.t.Helper()
	m := &member{command: command}
	c.start(m)
	if c.wait(m, time.Minute); m.err != nil {
		c.t.Fatalf("got %s: %v, want m.err == nil", command, m.err)
	}
}

// start starts a process.
func (c *crew) start(m *member) {
	c.t.Helper()
	cmd := exec.Command(c.bin, m.command)
	runs := make(chan struct{})
	out := &said{text: running, done: runs, to: c.log}
	cmd.Env, cmd.Stdout, cmd.Stderr = c.environ, out, out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan struct{})
	m.cmd, m.stdin, m.runs, m.ended = cmd, stdin, runs, ended
	go func() {
		m.err = cmd.Wait()
		close(ended)
	}()
}

// startAll starts all processes.
func (c *crew) startAll() {
	c.t.Helper()
	for _, m := range c.members {
		c.start(m)
	}
}

// kill ends a process in the middle of whatever it does.
func (c *crew) kill(m *member) {
	c.t.Helper()
	select {
	case <-m.ended:
		c.t.Fatalf("a process that ran %s has ended by itself: %v", m.command, m.err)
	default:
	}
	if err := m.cmd.Process.Kill(); err != nil {
		c.t.Fatalf("kill a process that runs %s: %v", m.command, err)
	}
	<-m.ended
	c.kills++
}

// freeze keeps a process from running for some time, as a platform does that moves or starves it. It then goes on with
// what it was doing, which others may have done meanwhile.
func (c *crew) freeze(m *member, d time.Duration) {
	c.t.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		c.t.Fatal(err)
	}
	pause(c.t.Context(), d)
	if err := m.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		c.t.Fatal(err)
	}
}

// drain tells a process to stop, as platforms do, and waits until it has. One that only begins does not know yet that it
// may be told.
func (c *crew) drain(m *member) {
	c.t.Helper()
	select {
	case <-m.runs:
	case <-m.ended:
		c.t.Fatalf("a process that ran %s has ended by itself: %v", m.command, m.err)
	case <-time.After(time.Minute):
		c.t.Fatalf("a process that runs %s has not begun to", m.command)
	}
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Fatal(err)
	}
	if c.wait(m, 45*time.Second); m.err != nil {
		c.t.Errorf("%s, told to stop: %v", m.command, m.err)
	}
}

// drainAll drains all processes.
func (c *crew) drainAll() {
	c.t.Helper()
	for _, m := range c.members {
		c.drain(m)
	}
}

// wait waits for the end of a process.
func (c *crew) wait(m *member, atMost time.Duration) {
	c.t.Helper()
	late := time.NewTimer(atMost)
	defer late.Stop()
	select {
	case <-m.ended:
	case <-late.C:
		c.t.Fatalf("%s has not ended within %v", m.command, atMost)
	}
}

// alive fails the test if a process has ended that nobody has told to.
func (c *crew) alive() error {
	for _, m := range c.members {
		select {
		case <-m.ended:
			return fmt.Errorf("a process that ran %s has ended by itself: %w", m.command, m.err)
		default:
		}
	}
	return nil
}
