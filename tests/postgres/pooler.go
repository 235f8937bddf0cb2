package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// StartPooler starts PgBouncer before a database and returns the database's URL through it. The mode is PgBouncer's
// pool_mode: session, transaction or statement. It keeps at most four connections to the server.
//
// A test that cannot have it is skipped, or fails, as with [Start].
func StartPooler(tb testing.TB, database, mode string) string {
	tb.Helper()
	bin, err := findPooler()
	if err != nil {
		Unavailable(tb, err)
	}
	pooler, stop, err := launchPooler(tb.Context(), bin, database, mode)
	if err != nil {
		tb.Fatalf("start PgBouncer: %v", err)
	}
	tb.Cleanup(stop)
	return pooler
}

// findPooler is the path of pgbouncer, which Debian keeps from users that are not root.
func findPooler() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no pgbouncer in PATH or /usr/sbin")
}

const poolerConfig = `[databases]
* = %s
[pgbouncer]
unix_socket_dir = %s
auth_type = any
pool_mode = %s
default_pool_size = 4
max_client_conn = 200
`

func launchPooler(ctx context.Context, bin, database, mode string) (pooler string, stop func(), err error) {
	server, err := pgx.ParseConfig(database)
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "pgb")
	if err != nil {
		return "", nil, err
	}
	var p *process
	stop = func() {
		p.stop()
		_ = os.RemoveAll(dir) // the supervisor does it too
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	if err := giveAway(dir); err != nil {
		return "", nil, err
	}
	// auth_type any takes every client for the user of the database's line.
	to := fmt.Sprintf("host=%s port=%d user=%s", server.Host, server.Port, server.User)
	if server.Password != "" {
		to += " password='" + strings.ReplaceAll(server.Password, "'", "''") + "'"
	}
	text := fmt.Sprintf(poolerConfig, to, dir, mode)
	config := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil { // the other user reads it
		return "", nil, err
	}
	if p, err = start(ctx, dir, "TERM", bin, config); err != nil {
		return "", nil, err
	}
	at := url.URL{Scheme: "postgres", User: url.User(server.User), Host: "localhost", Path: "/" + server.Database}
	at.RawQuery = url.Values{"host": {dir}, "port": {"6432"}}.Encode()
	return at.String(), stop, wait(ctx, at.String(), dir)
}
