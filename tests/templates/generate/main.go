// Command generate writes the schemas of package schema from npm packages, for the resources that the templates below
// infra name. Run it in tests/templates: go run ./generate
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/piecework/piecework/tests/templates/schema"
)

func main() {
	if err := run(context.Background()); err != nil {
		slog.ErrorContext(context.Background(), "generate the schemas", slog.Any("error", err))
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	uses, err := used("../../infra")
	if err != nil {
		return err
	}
	for name, pkg := range schema.Providers {
		p, err := read(ctx, name, pkg, uses)
		if err != nil {
			return fmt.Errorf("%s: %w", pkg, err)
		}
		text, err := json.MarshalIndent(p, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join("schema", name+".json"), append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}

var declared = regexp.MustCompile(`(?m)^(resource|data) "(\w+)" "`)

// used lists what the templates declare, as "resource aws_sqs_queue".
func used(root string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(root, "*", "*.tf"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			out = append(out, m[1]+" "+m[2])
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// read unpacks a package and reads what is used of it.
func read(ctx context.Context, name, pkg string, uses []string) (*schema.Provider, error) {
	dir, err := os.MkdirTemp("", "schema")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	pack := exec.CommandContext(ctx, "sh", "-c", `npm pack --silent "$1" && tar xzf ./*.tgz`, "sh", pkg)
	pack.Dir = dir
	if text, err := pack.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	lib := filepath.Join(dir, "package", "lib")
	p := &schema.Provider{Source: pkg, Resources: map[string]schema.Block{}, Data: map[string]schema.Block{}}
	src, err := load(filepath.Join(lib, "provider"))
	if err != nil {
		return nil, err
	}
	p.Version = versionPattern.FindStringSubmatch(src.js)[1]
	if p.Config, err = src.main(); err != nil {
		return nil, err
	}
	for _, use := range uses {
		kind, full, _ := strings.Cut(use, " ")
		rest, mine := strings.CutPrefix(full, name+"_")
		if !mine {
			continue
		}
		folder, into := strings.ReplaceAll(rest, "_", "-"), p.Resources
		if kind == "data" {
			folder, into = "data-"+name+"-"+folder, p.Data
		}
		src, err := load(filepath.Join(lib, folder))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", use, err)
		}
		if into[full], err = src.main(); err != nil {
			return nil, fmt.Errorf("%s: %w", use, err)
		}
	}
	return p, nil
}

var versionPattern = regexp.MustCompile(`providerVersion: '([\d.]+)'`)
