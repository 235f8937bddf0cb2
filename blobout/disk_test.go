package blobout_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func exampleContext() context.Context { return context.Background() }

// A write that fails halfway must not be committed by Close, which is what gocloud alone does.
func TestAFailedWriteIsNotSeen(t *testing.T) {
	for name, breakIt := range map[string]func(f *os.File){
		"writes fail": func(f *os.File) { f.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			on := onDir(t, t.TempDir())
			w, err := on.store.Create(t.Context(), "job-1", "t", "out.csv", 0, "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, "first half"); err != nil {
				t.Fatal(err)
			}
			breakIt(w.File())
			if _, err := io.WriteString(w, "second half"); !errors.Is(err, fs.ErrClosed) || !strings.Contains(err.Error(), "after 10 bytes") {
				t.Errorf("write: %v", err)
			}
			if _, err := w.Close(); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("close: %v", err)
			}
			noFile(t, on.dir, "out.csv")
		})
	}
}

// noFile fails if a file of this name can be found; a remnant under the name of an unfinished file is allowed.
func noFile(t *testing.T, dir, name string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == name {
			t.Errorf("%s exists", path)
		}
		return nil
	})
}
