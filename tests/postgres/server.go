package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Server is a PostgreSQL server that this process has started.
type Server struct {
	dir     string // data, socket and log
	bin     string
	durable bool
	process *process
}

// Launch initialises and starts a server. A durable one has PostgreSQL's defaults; any
// other does not wait for the disk.
func Launch(ctx context.Context, durable bool) (*Server, error) {
	bin, err := findBin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, durable: durable}
	if err := s.init(ctx); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// findBin is the directory of the newest server binaries.
func findBin() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "initdb")); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", errors.New("no postgres binary in PATH or /usr/lib/postgresql, and PIECEWORK_TEST_POSTGRES is not set")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

func (s *Server) init(ctx context.Context) error {
	if err := giveAway(s.dir); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "postgres",
		"-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	cmd.Dir = s.dir
	unprivileged(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Start starts the server, after Launch or Stop, and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	args := []string{filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200"}
	if !s.durable {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	}
	var err error
	if s.process, err = start(ctx, s.dir, "INT", args...); err != nil {
		return err
	}
	return wait(ctx, s.URL(), s.dir)
}

// URL is the URL of the server's database postgres.
func (s *Server) URL() string {
	return "postgres://postgres@localhost/postgres?" + url.Values{"host": {s.dir}}.Encode()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Stop stops the server at once, cutting off its clients, and keeps its data.
func (s *Server) Stop() {
	s.process.stop()
	s.process = nil
}

// Close stops the server and removes its data.
func (s *Server) Close() {
	s.Stop()
	_ = os.RemoveAll(s.dir) // the supervisor does it too
}
