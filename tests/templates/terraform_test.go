package templates

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// targets are the templates of Terraform, with the variables that they cannot do without.
func targets(t *testing.T) map[string][]string {
	t.Helper()
	zip := filepath.Join(t.TempDir(), "it.zip")
	if err := os.WriteFile(zip, []byte("zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string][]string{
		"aws":   {"zip=" + zip},
		"gcp":   {"project=acme-prod", "image=gcp"},
		"azure": {"subscription=00000000-0000-0000-0000-000000000000", "image=azure"},
	}
}

func TestTemplatesAreFormatted(t *testing.T) {
	for target := range targets(t) {
		if out, err := tofu(t, template(t, target), nil, "fmt", "-check", "-diff", "-no-color"); err != nil {
			t.Errorf("infra/%s is not formatted: run terraform fmt\n%s\n%v", target, out, err)
		}
	}
}

func TestTemplatesAreValid(t *testing.T) {
	for target := range targets(t) {
		if _, err := tofu(t, template(t, target), nil, "validate", "-no-color"); err != nil {
			t.Errorf("infra/%s: %v", target, err)
		}
	}
}

// Wrong variables are refused before anything is created, by a sentence that names the variable.
func TestWrongVariablesAreRefused(t *testing.T) {
	needed := targets(t)
	for target, wrong := range map[string][]string{
		"aws": {
			"name=Piecework", `queues=["submit"]`, `queues=["a.b"]`, "queues=[]", "architecture=arm", "log_level=loud", "log_retention_days=31",
			"execute_timeout=901", "batch_size=0", "batching_window=301", "maximum_concurrency=1", "api_auth=none",
			"memory={submit=64,execute=512,sweep=512,api=512}", "timeouts={submit=1,sweep=60,api=60}",
			`reserved_concurrency={sweeper=1}`, `reserved_concurrency={execute=10}`,
		},
		"gcp": {
			"project=Acme", "name=a", `queues=["probe"]`, "mode=poll", "log_level=loud", "log_retention_days=0", "request_timeout=3601",
			"concurrency=0", "max_instances=0", "workers=-1",
		},
		"azure": {
			"subscription=mine", "name=piece-work", `queues=["submit"]`, "store=ru", "store=vcore", "min_replicas=11", "max_replicas=0",
			"concurrency=0", "cpu=0.3", "log_level=loud", "log_retention_days=7",
		},
	} {
		dir := template(t, target)
		for _, v := range wrong {
			variable, _, _ := strings.Cut(v, "=")
			_, err := tofu(t, dir, prefixed(append(slices.Clone(needed[target]), v)), "plan", "-no-color", "-input=false")
			if v == "store=vcore" {
				variable = "vcore_password"
			}
			if err == nil || !strings.Contains(err.Error(), variable+":") || !strings.Contains(err.Error(), "Invalid value for variable") {
				t.Errorf("infra/%s accepts %s, or refuses it for another reason: %v", target, v, err)
			}
		}
	}
	_, err := tofu(t, template(t, "aws"), prefixed(append(needed["aws"], "api_auth=NONE")), "plan", "-no-color", "-input=false")
	if err == nil || !strings.Contains(err.Error(), "TF_VAR_api_tokens") {
		t.Errorf("an API without IAM and without tokens is not refused: %v", err)
	}
}

// Every variable and output says what it is for, and every template how it was checked.
func TestTemplatesExplainThemselves(t *testing.T) {
	for target := range targets(t) {
		names, err := filepath.Glob(filepath.Join(infra, target, "*.tf"))
		if err != nil {
			t.Fatal(err)
		}
		var all string
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all += string(text)
			for block := range strings.SplitSeq(string(text), "\n}\n") {
				block = strings.TrimLeft(block, "\n")
				if (strings.HasPrefix(block, "variable ") || strings.HasPrefix(block, "output ")) && !strings.Contains(block, "\n  description = ") {
					t.Errorf("%s: no description: %.60s", name, block)
				}
			}
		}
		for _, want := range []string{"Checked how:", "required_version", `version = "~> `} {
			if !strings.Contains(all, want) {
				t.Errorf("infra/%s has no %q", target, want)
			}
		}
	}
}

// text is a value as text.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// list is a value as a list.
func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// first is the only element of a block.
func first(v any) values {
	for _, e := range list(v) {
		if m, ok := e.(map[string]any); ok {
			return m
		}
	}
	return values{}
}
