package localdev_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
)

// startsIn starts a stack in a directory, runs a job and stops it.
func startsIn(t *testing.T, dir string) {
	t.Helper()
	s, err := localdev.Start(t.Context(), double(), localdev.Config{Dir: dir, Log: quiet()})
	if err != nil {
		t.Errorf("start in %s: %v, want it to start", dir, err)
		return
	}
	defer stop(t, s)
	r, err := s.Client().Submit(t.Context(), "double", 21)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client().Wait(t.Context(), r.ID); err != nil {
		t.Error(err)
	}
}

// A first start that ended amid its first file is no reason never to start again, unless there are
// data.
func TestStartAfterAFirstStartThatWasCut(t *testing.T) {
	const whole = "{\"format\": 1}\n"
	for n := range len(whole) {
		dir := t.TempDir()
		write(t, dir, "format.json", whole[:n])
		write(t, dir, "format.json.123", whole[:n])
		startsIn(t, dir)
		if text, err := os.ReadFile(filepath.Join(dir, "format.json")); err != nil || string(text) != whole && n < len(whole)-1 {
			t.Errorf("format.json says %q (%v) after a start with %q, want %q", text, err, whole[:n], whole)
		}
	}
	for _, text := range []string{"", "{", "!", `{"format": 0}`} {
		dir := t.TempDir()
		write(t, dir, "format.json", text)
		write(t, dir, "piecework.db", "")
		_, err := localdev.Start(t.Context(), double(), localdev.Config{Dir: dir, Log: quiet()})
		if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), "format.json") {
			t.Errorf("start beside data with format.json %q = %v, want an error that names the file", text, err)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
