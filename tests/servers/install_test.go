package servers

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Packages of tests that are run side by side install the same on a machine that has nothing yet.
func TestAFolderIsFilledByOneOfMany(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	dir := filepath.Join(cache, "package-1.0")
	if err := os.MkdirAll(filepath.Join(dir, "half"), 0o750); err != nil { // what a run that was killed has left
		t.Fatal(err)
	}
	var fills atomic.Int64
	fill := func(dir string) error {
		fills.Add(1)
		return os.Mkdir(filepath.Join(dir, "whole"), 0o750)
	}
	if err := fillOnce(dir, fill); err != nil {
		t.Fatal(err)
	}
	whole := func(dir string) {
		t.Helper()
		if found, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(found) != 2 {
			t.Errorf("%v, %v: want what was put there, and the mark that it is whole", found, err)
		}
	}
	whole(dir)
	other := filepath.Join(cache, "package-2.0")
	var running sync.WaitGroup
	gate := make(chan struct{})
	for range 8 {
		running.Go(func() {
			err := fillOnce(other, func(dir string) error { // each has seen that there is nothing
				if fills.Add(1) == 9 {
					close(gate)
				}
				<-gate
				return os.Mkdir(filepath.Join(dir, "whole"), 0o750)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	whole(other)
	if err := fillOnce(other, fill); err != nil || fills.Load() != 9 {
		t.Errorf("%d fills, %v", fills.Load(), err)
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) != 2 {
		t.Errorf("%v, %v: want nothing beside the folders", left, err)
	}
}
