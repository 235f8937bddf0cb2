package servers

import (
	"os"
	"path/filepath"
	"testing"
)

// S3 starts versitygw over a directory and returns its URL and the folder in which each bucket is one. The key is that
// of FakeAWS.
//
// It differs from the real service: it takes a backslash or ".." in a key for what they mean in file names, which
// package blobout escapes.
func S3(tb testing.TB) (endpoint, dir string) {
	tb.Helper()
	bin := tool(tb, "versitygw", "github.com/versity/versitygw/cmd/versitygw")
	dir = filepath.Join(tb.TempDir(), "buckets")
	if err := os.Mkdir(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	port := freePort(tb)
	run(tb, &Process{
		name: "versitygw", ready: listens(address(port)),
		args: []string{bin, "--port", address(port), "posix", dir},
		env:  []string{"ROOT_ACCESS_KEY=test", "ROOT_SECRET_KEY=test-secret"},
	})
	return "http://" + address(port), dir
}
