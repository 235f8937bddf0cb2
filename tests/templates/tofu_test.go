package templates

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// infra is where the templates are.
var infra = filepath.Join("..", "..", "infra")

// tools are the programs that the tests build, once.
var tools = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "templates")
	if err != nil {
		return "", err
	}
	work.Store(&dir)
	if err := build("tools/opentofu", filepath.Join(dir, "tofu"), "github.com/opentofu/opentofu/cmd/tofu"); err != nil {
		return dir, err
	}
	provider := filepath.Join(dir, "provider")
	if err := build(".", provider, "./provider"); err != nil {
		return dir, err
	}
	config := "provider_installation {\n  dev_overrides {\n"
	for _, name := range []string{"aws", "google", "azurerm"} {
		own := filepath.Join(dir, "providers", name)
		if err := os.MkdirAll(own, 0o755); err != nil {
			return dir, err
		}
		if err := os.Symlink(provider, filepath.Join(own, "terraform-provider-"+name)); err != nil {
			return dir, err
		}
		config += fmt.Sprintf("    \"hashicorp/%s\" = %q\n", name, own)
	}
	return dir, os.WriteFile(filepath.Join(dir, "tofurc"), []byte(config+"  }\n}\n"), 0o600)
})

// TestMain removes what tools has built.
func TestMain(m *testing.M) {
	status := m.Run()
	if dir := work.Load(); dir != nil {
		_ = os.RemoveAll(*dir)
	}
	os.Exit(status)
}

// work is the folder of tools.
var work atomic.Pointer[string]

func build(module, out, pkg string, flags ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	args := append([]string{"build", "-C", module, "-o", out}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// tofu runs OpenTofu in a folder.
func tofu(t *testing.T, dir string, env []string, args ...string) (string, error) {
	t.Helper()
	tools, err := tools()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(tools, "tofu"), args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(tools, "tofurc"), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1"), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("tofu %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), err
}

// values are the arguments and attributes of a resource.
type values map[string]any

// world is what a template made.
type world struct {
	Resources map[string][]values // by type
	Outputs   map[string]any
	byAddress map[string]values
}

// get returns a resource by its address.
func (w *world) get(t *testing.T, address string) values {
	t.Helper()
	v, ok := w.byAddress[address]
	if !ok {
		t.Fatalf("there is no %s", address)
	}
	return v
}

// template copies a target's template to a folder of its own, so that its state does.
func template(t *testing.T, target string) string {
	t.Helper()
	dir := t.TempDir()
	names, err := filepath.Glob(filepath.Join(infra, target, "*.tf"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no template of %s: %v", target, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// apply applies a target's template with these variables.
func apply(t *testing.T, target string, variables ...string) *world {
	t.Helper()
	dir := template(t, target)
	if _, err := tofu(t, dir, prefixed(variables), "apply", "-auto-approve", "-no-color", "-input=false"); err != nil {
		t.Fatal(err)
	}
	text, err := tofu(t, dir, nil, "show", "-json")
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Values struct {
			Outputs map[string]struct {
				Value any `json:"value"`
			} `json:"outputs"`
			Root struct {
				Resources []struct {
					Address string `json:"address"`
					Type    string `json:"type"`
					Mode    string `json:"mode"`
					Values  values `json:"values"`
				} `json:"resources"`
			} `json:"root_module"`
		} `json:"values"`
	}
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		t.Fatal(err)
	}
	w := &world{Resources: map[string][]values{}, Outputs: map[string]any{}, byAddress: map[string]values{}}
	for _, r := range state.Values.Root.Resources {
		if r.Mode == "managed" {
			w.Resources[r.Type] = append(w.Resources[r.Type], r.Values)
			w.byAddress[r.Address] = r.Values
		}
	}
	for name, o := range state.Values.Outputs {
		w.Outputs[name] = o.Value
	}
	return w
}

// prefixed makes NAME=VALUE a variable of Terraform.
func prefixed(variables []string) []string {
	var out []string
	for _, v := range variables {
		out = append(out, "TF_VAR_"+v)
	}
	return out
}
