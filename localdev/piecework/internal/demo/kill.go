package demo

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Killed says how the first worker died.
type Killed struct {
	PID    int       `json:"pid"`
	Signal string    `json:"signal"` // as the system reports the end of the process
	At     time.Time `json:"at"`
}

// Kill runs the demo in the process of cmd, which must call Run with the same options and print
// plain lines. It kills that process with SIGKILL in the middle of the job. Then it calls Run,
// whose worker goes on from the last checkpoint when the lease of the dead one has run out.
func Kill(ctx context.Context, o Options, cmd *exec.Cmd) error {
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start worker 1: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start worker 1: %w", err)
	}
	o.printf("Worker 1 is process %d.\n\n", cmd.Process.Pid)
	lines := bufio.NewScanner(out)
	percent := 0
	for percent < 50 && lines.Scan() {
		o.printf("%s\n", lines.Text())
		if _, err := fmt.Sscanf(lines.Text(), "%d %%", &percent); err != nil {
			percent = 0 // not a line of progress
		}
	}
	killed := &Killed{PID: cmd.Process.Pid, At: time.Now()}
	killErr := cmd.Process.Kill()
	_ = cmd.Wait() // its state tells more
	killed.Signal = cmd.ProcessState.String()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped: %w", context.Cause(ctx))
	case percent < 50 || killErr != nil:
		return fmt.Errorf("worker process %d ended before it could be killed (%s); use a longer pace than %v: %s",
			killed.PID, killed.Signal, o.Pace, strings.TrimSpace(errs.String()))
	}
	o.printf("\nWorker 1 got SIGKILL (%s). The job is worker 1's until its lease has run out.\n\n", killed.Signal)
	return o.run(ctx, killed)
}
