package blobout_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/piecework/piecework/blobout"
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

// syncs notes what a store syncs: the name below its directory, and whether the blob could be seen by then.
type syncs struct {
	seen []string
	fail string // the name whose sync fails
}

func (s *syncs) watch(on target, key string) {
	on.store.OnSync(func(f *os.File) error {
		name, err := filepath.Rel(on.dir, f.Name())
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if info, err := f.Stat(); err != nil || !info.IsDir() {
			name = path.Dir(name) + "/(file)" // it has another name while it is written
		}
		when := "before"
		if _, err := os.Stat(filepath.Join(on.dir, filepath.FromSlash(key))); err == nil {
			when = "after"
		}
		s.seen = append(s.seen, when+" "+name)
		if name == s.fail {
			return syscall.EIO
		}
		return nil
	})
}

// Close brings to disk first the content, then the name, and then the names of all folders on the way.
func TestCloseSyncs(t *testing.T) {
	const key = "jobs/job-1/a-t/sub/out.csv"
	on := onDir(t, t.TempDir())
	var s syncs
	s.watch(on, key)
	write(t, on.store, "t", "sub/out.csv", 0, "x")
	want := []string{"before jobs/job-1/a-t/sub/(file)", "after jobs/job-1/a-t/sub", "after jobs/job-1/a-t", "after jobs/job-1", "after jobs", "after ."}
	if diff := cmp.Diff(want, s.seen); diff != "" {
		t.Errorf("synced (-want +got):\n%s", diff)
	}
	on.store = blobout.New(on.bucket, &blobout.Options{Dir: on.dir, NoSync: true})
	s.seen = nil
	s.watch(on, key)
	write(t, on.store, "t", "sub/out.csv", 0, "x")
	if len(s.seen) > 0 {
		t.Errorf("with NoSync it synced %q, want nothing", s.seen)
	}
}

// A blob that may not be on disk is an error: a record must not list it.
func TestCloseFailsWithASync(t *testing.T) {
	for _, fail := range []string{"jobs/job-1/a-t/(file)", "jobs/job-1/a-t", "jobs/job-1", "jobs", "."} {
		t.Run(fail, func(t *testing.T) {
			on := onDir(t, t.TempDir())
			s := syncs{fail: fail}
			s.watch(on, "jobs/job-1/a-t/out.csv")
			w, err := on.store.Create(t.Context(), "job-1", "t", "out.csv", 0, "")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if part, err := w.Close(); !errors.Is(err, syscall.EIO) || part != (blobout.Part{}) {
					t.Errorf("close = %+v, %v, want the sync's error", part, err)
				}
			}
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
