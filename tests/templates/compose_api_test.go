package templates

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// checkPorts allows ports to the API alone, and to this machine alone.
func checkPorts(t *testing.T, name string, s types.ServiceConfig, api bool) {
	t.Helper()
	switch {
	case !api && len(s.Ports) != 0:
		t.Errorf("service %s has ports, which it does not need: %v", name, s.Ports)
	case api && (len(s.Ports) != 1 || s.Ports[0].HostIP != "127.0.0.1" || s.Ports[0].Published != "8080" || s.Ports[0].Target != 8080):
		t.Errorf("service %s is to be at port 8080 of this machine alone: %v", name, s.Ports)
	}
}

// checkAPI starts the program as the service of the API, over a store in a file, and asks it.
func checkAPI(t *testing.T, env map[string]string) {
	t.Helper()
	token := passwords["API_TOKEN"]
	if env["PIECEWORK_TOKENS"] != "operator:compose:"+token {
		t.Errorf("the tokens are %s", env["PIECEWORK_TOKENS"])
	}
	dir := filepath.ToSlash(t.TempDir())
	env["PIECEWORK_STORE"], env["PIECEWORK_ADDR"], env["HOME"] = "sqlite://"+dir+"/records.db", "0.0.0.0:0", dir
	for name, value := range env {
		env[name] = hosts.ReplaceAllString(strings.ReplaceAll(value, "/var/lib/piecework", dir), "127.0.0.1:1")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, "selfhost"), "serve")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	addr, said := "", ""
	for lines := bufio.NewScanner(log); addr == "" && lines.Scan(); {
		var line struct {
			Msg     string `json:"msg"`
			Address string `json:"address"`
		}
		said += lines.Text() + "\n"
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "server is running" {
			addr = line.Address[strings.LastIndexByte(line.Address, ':'):]
		}
	}
	if addr == "" {
		t.Fatalf("the API does not start with %v:\n%s", env, said)
	}
	for _, c := range []struct {
		method, path, token string
		want                int
	}{
		{http.MethodGet, "/healthz", "", 200}, {http.MethodGet, "/v1/kinds", token, 200}, {http.MethodGet, "/v1/kinds", "", 401},
		{http.MethodGet, "/v1/kinds", token + "x", 401}, {http.MethodPost, "/push/execute", token, 401}, {http.MethodPost, "/sweep", "", 401},
	} {
		if status := ask(t, ctx, c.method, fmt.Sprintf("http://127.0.0.1%s%s", addr, c.path), c.token); status != c.want {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, status, c.want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the API ended with %v", err)
	}
}

// ask asks with a bearer token, "" for none, and returns the status.
func ask(t *testing.T, ctx context.Context, method, url, token string) int { //nolint:revive // t first, as everywhere
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}
