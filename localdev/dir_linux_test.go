package localdev_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/piecework/piecework/localdev"
)

// Wherever the first start runs out of room, the next one works when there is room.
func TestStartAfterAFullDisk(t *testing.T) {
	const page, pages = 4096, 1024
	for _, free := range []int{0, 1, 2, 3, 5, 8, 13, 21, 34} {
		t.Run(fmt.Sprint(free, " pages are free"), func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", page*pages)); err != nil {
				t.Skip("cannot mount a small disk here: ", err)
			}
			defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
			filler, data := filepath.Join(dir, "filler"), filepath.Join(dir, "data")
			if err := os.WriteFile(filler, bytes.Repeat([]byte("x"), page*(pages-free)), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			s, err := localdev.Start(t.Context(), double(), localdev.Config{Dir: data, Log: quiet()})
			switch {
			case err == nil:
				stop(t, s)
			case free == 0:
				if _, err := os.Stat(filepath.Join(data, "format.json")); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("format.json on a full disk: %v, want none", err)
				}
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			startsIn(t, data)
		})
	}
}
