// Package postgres gives tests and benchmarks a PostgreSQL server, and a connection pooler before it.
//
// The server is the one at PIECEWORK_TEST_POSTGRES, a URL, or else one that the package
// starts from the machine's own binaries: in a temporary directory, on a Unix socket,
// as an unprivileged user if need be. It ends with the process that started it, however
// that ends.
//
// A test that cannot have one is skipped, with the reason, unless
// PIECEWORK_REQUIRE_SERVERS is set: then it fails.
package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Start gives the test a database of its own and returns its URL. All tests of a
// process share one server, which trades durability for speed.
func Start(tb testing.TB) string {
	tb.Helper()
	server, err := sharedURL()
	if err != nil {
		Unavailable(tb, err)
	}
	db, drop, err := createDatabase(tb.Context(), server)
	if err != nil {
		tb.Fatalf("create a database on PostgreSQL: %v", err)
	}
	tb.Cleanup(drop)
	return db
}

// StartServer gives the test a server of its own, which it may stop and start again.
// It is skipped where PIECEWORK_TEST_POSTGRES names the only server.
func StartServer(tb testing.TB) *Server {
	tb.Helper()
	s, err := Launch(tb.Context(), false)
	if err != nil {
		Unavailable(tb, err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Run is Start for a program: it gives a durable server, with PostgreSQL's defaults, or
// a new database on the one at PIECEWORK_TEST_POSTGRES. Call stop when done.
func Run(ctx context.Context) (url string, stop func(), err error) {
	if server := os.Getenv("PIECEWORK_TEST_POSTGRES"); server != "" {
		return createDatabase(ctx, server)
	}
	s, err := Launch(ctx, true)
	if err != nil {
		return "", nil, err
	}
	return s.URL(), s.Close, nil
}

// Unavailable skips the test, or fails it if PIECEWORK_REQUIRE_SERVERS is set.
func Unavailable(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("PIECEWORK_REQUIRE_SERVERS") != "" {
		tb.Fatalf("no PostgreSQL: %v", err)
	}
	tb.Skipf("no PostgreSQL: %v", err)
}

// shared keeps the server reachable: garbage collection would close the pipe that it
// watches.
var shared *Server

// sharedURL is the server that the tests of this process share.
var sharedURL = sync.OnceValues(func() (string, error) {
	if server := os.Getenv("PIECEWORK_TEST_POSTGRES"); server != "" {
		return server, nil
	}
	var err error
	if shared, err = Launch(context.Background(), false); err != nil {
		return "", err
	}
	return shared.URL(), nil
})

// createDatabase makes a new database on a server; drop removes it together with clients that are
// still connected.
func createDatabase(ctx context.Context, server string) (db string, drop func(), err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, err
	}
	name := "test_" + strings.ToLower(rand.Text()[:16])
	if err := execute(ctx, server, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	u.Path = "/" + name
	return u.String(), func() {
		// The server may be gone, and the database with it.
		_ = execute(context.Background(), server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}, nil
}

func execute(ctx context.Context, server, sql string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}
