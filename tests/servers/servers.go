package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/tests/port"
)

// Unavailable skips the test, or fails it if PIECEWORK_REQUIRE_SERVERS is set.
func Unavailable(tb testing.TB, what string, err error) {
	tb.Helper()
	if os.Getenv("PIECEWORK_REQUIRE_SERVERS") != "" {
		tb.Fatalf("no %s: %v", what, err)
	}
	tb.Skipf("no %s: %v", what, err)
}

// freePort returns a port that is the test's alone, also while its server is stopped.
func freePort(tb testing.TB) int {
	tb.Helper()
	return port.Free(tb)
}

// address is where a server listens on this port.
func address(n int) string { return port.Address(n) }

// wait calls ready until it returns nil, and gives its last error if it does not within a minute.
func wait(ctx context.Context, ready func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready after a minute: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// listens is ready when a server listens at the address.
func listens(addr string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// cacheDir is where programs are kept from one run to the next.
func cacheDir(elem ...string) (string, error) {
	root, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(append([]string{root, "piecework-servers"}, elem...)...)
	return dir, os.MkdirAll(dir, 0o755)
}

// installing lets one test install at a time; those who come later find what it has installed.
var installing sync.Mutex
