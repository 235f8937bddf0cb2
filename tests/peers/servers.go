package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/piecework/piecework/tests/postgres"
)

// servers are the servers that could be started.
type servers struct {
	dir      string
	postgres string // "" if there is none
	redis    string
	stops    []func()
	made     int
}

// startServers starts what this machine has, and says what it has not.
func startServers(ctx context.Context, out io.Writer) (*servers, error) {
	s := &servers{}
	var err error
	if s.dir, err = os.MkdirTemp("", "peers"); err != nil {
		return nil, err
	}
	s.stops = append(s.stops, func() { _ = os.RemoveAll(s.dir) })
	url, stop, err := postgres.Run(ctx)
	if err != nil {
		_, _ = fmt.Fprintln(out, "PostgreSQL is left out:", err)
	} else {
		s.postgres, s.stops = url, append(s.stops, stop)
	}
	if err := s.startRedis(ctx); err != nil {
		_, _ = fmt.Fprintln(out, "Asynq is left out:", err)
	}
	return s, nil
}

func (s *servers) startRedis(ctx context.Context) error {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("there is no redis-server in PATH: %w", err)
	}
	socket := filepath.Join(s.dir, "redis.sock")
	cmd := exec.CommandContext(ctx, bin, "--port", "0", "--unixsocket", socket, "--dir", s.dir, "--appendonly", "yes", "--save", "")
	if err := cmd.Start(); err != nil {
		return err
	}
	s.stops = append(s.stops, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 200 {
		if conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket); err == nil {
			s.redis = socket
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(25 * time.Millisecond):
		}
	}
	return fmt.Errorf("redis-server did not answer within 5 s")
}

// place returns a new, empty database on a server.
func (s *servers) place(ctx context.Context, server string) (string, bool) {
	s.made++
	switch server {
	case "sqlite":
		return filepath.Join(s.dir, fmt.Sprintf("peer%d.db", s.made)), true
	case "redis":
		return s.redis, s.redis != ""
	}
	if s.postgres == "" {
		return "", false
	}
	conn, err := pgx.Connect(ctx, s.postgres)
	if err != nil {
		return "", false
	}
	defer conn.Close(ctx)
	name := fmt.Sprintf("peer%d", s.made)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", false
	}
	config := conn.Config()
	return fmt.Sprintf("postgres://%s@localhost/%s?host=%s", config.User, name, config.Host), true
}

func (s *servers) stop() {
	for _, stop := range slices.Backward(s.stops) {
		stop()
	}
}
