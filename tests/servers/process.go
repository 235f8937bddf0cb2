package servers

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// supervise runs a program for as long as its standard input stays open, which the kernel closes when the process that
// started it ends, in whatever way.
const supervise = `"$@" </dev/null & pid=$!; trap '' INT TERM; read -r _; kill -TERM $pid 2>/dev/null; wait $pid`

// Process is a server in a process of its own, which can be stopped and started again.
type Process struct {
	name  string
	args  []string
	env   []string
	dir   string
	ready func(ctx context.Context) error
	// patience is how long it may take to end before it is forced to. Default 30 seconds.
	patience time.Duration

	cmd    *exec.Cmd
	stdin  io.WriteCloser
	output *tail
}

// run starts a server and waits until it is ready; it ends with the test.
func run(tb testing.TB, p *Process) *Process {
	tb.Helper()
	if err := p.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Stop)
	return p
}

// Start starts the server, after Stop, and waits until it is ready.
func (p *Process) Start(ctx context.Context) error {
	p.output = &tail{}
	// Not ctx: the server outlives the test that restarts it.
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), "sh", append([]string{"-c", supervise, "sh"}, p.args...)...)
	p.cmd.Env, p.cmd.Dir = append(os.Environ(), p.env...), p.dir
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that force reaches all that it has started
	p.cmd.WaitDelay = 5 * time.Second                       // for what the server has started and left behind
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	if err := wait(ctx, p.ready); err != nil {
		p.Stop()
		return fmt.Errorf("start %s: %w\n%s", p.name, err, p.output)
	}
	return nil
}

// Stop ends the server as an operator would, and if it does not end, by force.
func (p *Process) Stop() {
	if p.cmd == nil {
		return
	}
	_ = p.stdin.Close()
	group := -p.cmd.Process.Pid
	force := time.AfterFunc(cmp.Or(p.patience, 30*time.Second), func() { _ = syscall.Kill(group, syscall.SIGKILL) })
	defer force.Stop()
	_ = p.cmd.Wait() // how a server ends that is told to end says nothing
	p.cmd = nil
}

// tail keeps the end of what a server prints.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write adds to the end.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - 8<<10; over > 0 {
		t.buf = bytes.Clone(t.buf[over:])
	}
	return len(b), nil
}

// String is the end.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

// command runs a program to its end.
func command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err), errors.New(strings.TrimSpace(string(out))))
}
