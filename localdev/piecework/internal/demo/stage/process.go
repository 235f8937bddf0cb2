package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// process is a worker that runs as a process of its own.
type process struct {
	cmd   *exec.Cmd
	input io.Closer // closing it asks the worker to end
	log   *os.File
	gone  chan struct{} // closed when the process has ended
	err   error         // how; valid once it is gone
}

// startProcess starts worker number n over the directory. What it logs goes into a file there.
func startProcess(ctx context.Context, o Options, n int) (*process, error) {
	p := &process{cmd: o.Worker(ctx, o.Dir), gone: make(chan struct{})}
	var err error
	if p.log, err = os.Create(filepath.Join(o.Dir, fmt.Sprintf("worker-%d.log", n))); err != nil {
		return nil, fmt.Errorf("log of worker %d: %w", n, err)
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, errors.Join(fmt.Errorf("start worker %d: %w", n, err), p.log.Close())
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start worker %d: %w", n, err), p.log.Close())
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

// pid is the number of the process.
func (p *process) pid() int { return p.cmd.Process.Pid }

// alive says how the process ended, if it did.
func (p *process) alive() error {
	select {
	case <-p.gone:
		text, _ := os.ReadFile(p.log.Name()) // the end of the log is a help, and no more
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		return fmt.Errorf("worker process %d ended by itself (%v); the end of %s: %s",
			p.pid(), p.cmd.ProcessState, p.log.Name(), lines[len(lines)-1])
	default:
		return nil
	}
}

// kill ends the process with SIGKILL, which it cannot notice, and returns how the system says that it ended.
func (p *process) kill() (string, error) {
	if err := p.cmd.Process.Kill(); err != nil {
		return "", fmt.Errorf("kill worker process %d: %w", p.pid(), err)
	}
	<-p.gone
	return p.cmd.ProcessState.String(), p.log.Close()
}

// stop asks the process to end, and ends it if it does not.
func (p *process) stop() error {
	_ = p.input.Close() // it may be gone already
	timer := time.NewTimer(15 * time.Second)
	defer timer.Stop()
	select {
	case <-p.gone:
	case <-timer.C:
		_ = p.cmd.Process.Kill() // as above
		<-p.gone
	}
	return errors.Join(p.err, p.log.Close())
}
