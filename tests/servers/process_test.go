package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var errNotYet = errors.New("not yet")

// A server that does not end when it is told to is forced to, with all that it has started: what was left of it would
// keep its port from the next one.
func TestAServerThatDoesNotEndLeavesNothing(t *testing.T) {
	t.Parallel()
	p := &Process{
		name: "stubborn", patience: time.Second,
		args: []string{"sh", "-c", `trap '' TERM; sleep 86400 & echo $!; while :; do wait; done`},
	}
	p.ready = func(context.Context) error {
		if !strings.HasSuffix(p.output.String(), "\n") {
			return errNotYet
		}
		return nil
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(p.output.String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	p.Stop()
	if err := wait(t.Context(), func(context.Context) error { return gone(pid) }); err != nil {
		t.Error(err)
	}
}

// gone is nil if a process has ended, though perhaps nobody has asked how.
func gone(pid int) error {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || err == nil && bytes.Contains(stat, []byte(") Z ")) {
		return nil
	}
	return fmt.Errorf("process %d lives on", pid)
}
