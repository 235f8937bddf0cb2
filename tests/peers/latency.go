package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// lone is how many jobs are submitted to an idle worker of another process.
const lone = 100

// args are the arguments of all jobs.
type args struct {
	Sent int64  `json:"sent"` // in nanoseconds since 1970; 0: nobody asks for the time
	Pad  string `json:"pad,omitempty"`
}

func (args) Kind() string { return "noop" } // for River

// started prints how long a job was under way, for the process that submitted it.
func (a args) started() {
	if a.Sent != 0 {
		fmt.Println(time.Now().UnixNano() - a.Sent)
	}
}

func padded(bytes int) string {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}

// latency starts a worker in a process of its own, and submits to it from this one, whose own
// workers are turned off, one job every 20 ms.
func latency(ctx context.Context, p peer, at string) (p50, p95 time.Duration, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	cmd := exec.CommandContext(ctx, self, "worker", p.name, p.server, at)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, 0, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = in.Close()
		if e := cmd.Wait(); err == nil {
			err = e
		}
	}()
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() { // it is ready
		return 0, 0, fmt.Errorf("the worker did not start: %w", lines.Err())
	}
	s, err := p.open(ctx, at, 0)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if e := s.Close(ctx); err == nil {
			err = e
		}
	}()
	var delays []time.Duration
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for i := range lone + 5 {
		<-pause.C
		if err := s.Submit(context.WithValue(ctx, sentKey{}, time.Now().UnixNano()), 0); err != nil {
			return 0, 0, err
		}
		if !lines.Scan() {
			return 0, 0, fmt.Errorf("the worker ended: %w", lines.Err())
		}
		var d time.Duration
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			return 0, 0, err
		}
		if i >= 5 { // the first warm it up
			delays = append(delays, d)
		}
	}
	slices.Sort(delays)
	return delays[lone/2], delays[lone*95/100], nil
}

// sentKey is the context's key of the time that Submit puts into the arguments.
type sentKey struct{}

func argsOf(ctx context.Context, bytes int) args {
	sent, _ := ctx.Value(sentKey{}).(int64)
	return args{Sent: sent, Pad: padded(bytes)}
}

// work is the other process: it works until its standard input ends.
func work(of []string) error {
	if len(of) != 3 {
		return fmt.Errorf("arguments %q: want a peer, a server and its place", of)
	}
	ctx := context.Background()
	for _, p := range peers {
		if p.name == of[0] && p.server == of[1] {
			s, err := p.open(ctx, of[2], 100)
			if err != nil {
				return err
			}
			fmt.Println("ready")
			_, _ = os.Stdin.Read(make([]byte, 1))
			return s.Close(ctx)
		}
	}
	return fmt.Errorf("there is no peer %s over %s", of[0], of[1])
}
