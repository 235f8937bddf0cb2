package blobout_test

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
)

func TestAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("cannot mount a small disk here: ", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	on := onDir(t, dir)
	kept := write(t, on.store, "t", "small.csv", 0, "fits")
	w, err := on.store.Create(t.Context(), "job-1", "t", "big.csv", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(w, strings.NewReader(strings.Repeat("x", 1<<20)))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("write: %v", err)
	}
	if _, err = w.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("close: %v", err)
	}
	wantKeys(t, on.store, "a-t/small.csv")
	if got := read(t, on.store, 0, -1, kept); got != "fits" {
		t.Errorf("the other file holds %q", got)
	}
}
