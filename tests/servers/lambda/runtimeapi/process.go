package runtimeapi

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is the program of an environment, the leader of a process group.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
	err    error         // how it ended; to be read after exited

	mu     sync.Mutex
	reaped bool
}

// starter starts processes from one thread, which lives as long as the function: the kernel kills the processes when that
// thread ends, and so in whatever way the test ends. A frozen process would otherwise stay forever.
type starter struct {
	work chan func()
	stop func() // when there is nothing more to start; may be called twice
}

func newStarter() *starter {
	s := &starter{work: make(chan func())}
	s.stop = sync.OnceFunc(func() { close(s.work) })
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends with this function
		for f := range s.work {
			f()
		}
	}()
	return s
}

// start starts a program in its own folder, with these variables and no others.
func (s *starter) start(program string, env []string, log io.Writer) (*process, error) {
	p := &process{cmd: exec.Command(program), exited: make(chan struct{})} //nolint:noctx // it ends by signals
	p.cmd.Dir, p.cmd.Env = filepath.Dir(program), env
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(p.cmd.SysProcAttr)
	p.cmd.WaitDelay = 5 * time.Second
	started := make(chan error)
	s.work <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		err := p.cmd.Wait()
		p.mu.Lock()
		p.reaped, p.err = true, err
		p.mu.Unlock()
		close(p.exited)
	}()
	return p, nil
}

// signal sends a signal to all processes of the group, and reports whether there was one.
func (p *process) signal(sig syscall.Signal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.reaped && syscall.Kill(-p.cmd.Process.Pid, sig) == nil
}

// kill ends the group and waits until it has ended.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// ended reports whether the program has ended.
func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}
