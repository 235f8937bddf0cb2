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
	dir, err := cacheDir("npm", strings.NewReplacer("/", "_", "@", "_").Replace(name)+"-"+version)
	if err != nil {
		return "", err
	}
	installed := filepath.Join(dir, "node_modules", filepath.FromSlash(name))
	done := filepath.Join(dir, "installed") // made last, so that half an installation is not taken for one
	if _, err := os.Stat(done); err == nil {
		return installed, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	err = command(ctx, dir, nil, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts",
		"--loglevel=error", "--prefix", ".", name+"@"+version)
	if err != nil {
		return "", err
	}
	return installed, os.WriteFile(done, nil, 0o600)
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
