package postgres

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// process is a server under a supervisor.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// supervise runs the server for as long as its standard input stays open, which the
// kernel closes when the process that started it ends, in whatever way. It then removes
// the directory too, unless it has read a line first, which stop writes.
const supervise = `dir=$1 signal=$2; shift 2; "$@" & pid=$!; trap '' INT TERM; read -r keep
kill -$signal $pid 2>/dev/null; wait $pid; [ "$keep" ] || rm -rf "$dir"`

// start starts a server in a directory, where it also writes its log. The signal ends it at once.
func start(ctx context.Context, dir, signal string, command ...string) (*process, error) {
	args := append([]string{"-c", supervise, "sh", dir, signal}, command...)
	p := &process{cmd: exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", args...)} // stop ends it
	p.cmd.Dir = dir
	unprivileged(p.cmd)
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return p, p.cmd.Start()
}

// stop ends the server, if it was started, and keeps its directory.
func (p *process) stop() {
	if p == nil || p.cmd.Process == nil {
		return
	}
	_, _ = io.WriteString(p.stdin, "keep\n") // the supervisor may have died
	_ = p.stdin.Close()
	_ = p.cmd.Wait() // its exit status is the signal's
}

// wait asks until the server at a URL answers.
func wait(ctx context.Context, url, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, url)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			return fmt.Errorf("the server does not answer: %w: %s", err, log)
		case <-tick.C:
		}
	}
}
