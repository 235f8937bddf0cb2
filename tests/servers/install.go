package servers

import (
	"context"
	_ "embed" // for package.json
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

//go:embed package.json
var packageJSON []byte

// npm returns the folder of a package that package.json names, installed if need be.
func npm(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := installPackage(tb.Context(), name)
	if err != nil {
		Unavailable(tb, name+" of npm", err)
	}
	return dir
}

func installPackage(ctx context.Context, name string) (string, error) {
	var manifest struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal(packageJSON, &manifest); err != nil {
		return "", err
	}
	version, ok := manifest.Dependencies[name]
	if !ok {
		return "", fmt.Errorf("package.json does not name %q", name)
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", err
		}
	}
	installing.Lock()
	defer installing.Unlock()
	cache, err := cacheDir("npm")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, strings.NewReplacer("/", "_", "@", "_").Replace(name)+"-"+version)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	return filepath.Join(dir, "node_modules", filepath.FromSlash(name)), fillOnce(dir, func(dir string) error {
		return command(ctx, dir, nil, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts",
			"--loglevel=error", "--prefix", ".", name+"@"+version)
	})
}

// fillOnce makes a folder with what fill puts into it, unless it has been made. Tests of several packages, which are
// processes of their own, may do so at the same time: each fills a folder beside it, and the first that has done moves it.
func fillOnce(dir string, fill func(dir string) error) error {
	made := func() bool { // written last, so that half an installation is not taken for one
		_, err := os.Stat(filepath.Join(dir, "installed"))
		return err == nil
	}
	if made() {
		return nil
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // it was moved, or is of no use
	if err := fill(work); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "installed"), nil, 0o600); err != nil {
		return err
	}
	err = os.Rename(work, dir)
	if err == nil || made() {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil { // half an installation
		return err
	}
	return os.Rename(work, dir)
}

// tool returns the binary of a server that a module below tools pins, built if need be.
func tool(tb testing.TB, name, pkg string) string {
	tb.Helper()
	bin, err := buildTool(tb.Context(), name, pkg)
	if err != nil {
		Unavailable(tb, name, err)
	}
	return bin
}

// buildTool leaves it to Go's build cache to know whether there is something to build.
func buildTool(ctx context.Context, name, pkg string) (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("nobody knows where this source file lies")
	}
	installing.Lock()
	defer installing.Unlock()
	dir, err := cacheDir("bin")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	bin := filepath.Join(dir, name)
	err = command(ctx, filepath.Join(filepath.Dir(file), "tools", name), []string{"CGO_ENABLED=0", "GOFLAGS="},
		"go", "build", "-o", bin, pkg)
	return bin, err
}
