// Package build compiles programs as a deployment does: static, stripped, with the tags of infra/build.sh. The programs of the
// repository it lets that script build.
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
	return out, run(ctx, dir, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
		"-tags", "timetzdata,lambda.norpc,grpcnotrace", "-o", out, ".")
}

// Deployed builds the program of a target with infra/build.sh, for this machine, and returns the path of the executable.
func Deployed(ctx context.Context, target string) (string, error) {
	building.Lock()
	defer building.Unlock()
	root, err := Root()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	return filepath.Join(root, "bin", "piecework-"+target+"-"+runtime.GOARCH), run(ctx, root, "bash", "infra/build.sh", target, "binary", runtime.GOARCH)
}

// run runs a build.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s in %s: %w: %s", name, strings.Join(args, " "), dir, err, strings.TrimSpace(string(text)))
	}
	return nil
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

// MustDeployed is Deployed for tests.
func MustDeployed(tb testing.TB, target string) string {
	tb.Helper()
	out, err := Deployed(tb.Context(), target)
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
