package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/piecework/piecework/tests/postgres"
)

// storeNames are the stores that can be measured.
var storeNames = []string{"sqlite-file", "sqlite-memory", "postgres"}

// place is where a fresh, empty store can be opened.
type place struct {
	name string
	url  string
	dir  string
}

// withStore calls f with a fresh store and clears it away afterwards.
func withStore[T any](ctx context.Context, name string, f func(context.Context, place) (T, error)) (T, error) {
	var none T
	dir, err := os.MkdirTemp("", "piecework-bench-")
	if err != nil {
		return none, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left of it is in the way of nothing
	at := place{name: name, dir: dir}
	switch name {
	case "sqlite-file":
		at.url = "sqlite://" + filepath.Join(dir, "bench.db")
	case "sqlite-memory":
		at.url = "sqlite::memory:"
	case "postgres":
		server, stop, err := postgres.Run(ctx)
		if err != nil {
			return none, fmt.Errorf("a PostgreSQL server: %w", err)
		}
		defer stop()
		at.url = strings.Replace(server, "postgresql://", "postgres://", 1)
	}
	return f(ctx, at)
}
