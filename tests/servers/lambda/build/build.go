// Package build compiles programs for Lambda as a deployment does: static, stripped, without the RPC server of the old
// runtime.
package build

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// building lets one program be built at a time: each build uses all processors.
var building sync.Mutex

// Program compiles the main package in a folder, which is below the root of the repository, and returns the path of the
// executable. It lies in the user's cache directory, and is built again when its sources have changed.
func Program(ctx context.Context, folder string) (string, error) {
	building.Lock()
	defer building.Unlock()
	root, err := Root()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	dir := filepath.Join(root, folder)
	// By the folder, so that work trees do not overwrite each other's programs.
	out := filepath.Join(cache, "piecework-servers", "lambda", fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:16], "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-tags", "lambda.norpc", "-o", out, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in %s: %w: %s", folder, err, strings.TrimSpace(string(text)))
	}
	return out, nil
}

// Must is Program for tests: what cannot be built fails the test.
func Must(tb testing.TB, folder string) string {
	tb.Helper()
	out, err := Program(tb.Context(), folder)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// Root is the root of the repository.
func Root() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("nobody knows where this source file lies")
	}
	return filepath.Clean(filepath.Join(filepath.Dir(file), "..", "..", "..", "..")), nil
}
