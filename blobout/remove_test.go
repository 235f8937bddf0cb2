package blobout_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/tests/fault"
)

func TestRemove(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		ctx := t.Context()
		write(t, on.store, "t1", "won.csv", 0, "w")
		lost := []blobout.Part{
			write(t, on.store, "t1", "leftover.csv", 0, "l"),
			write(t, on.store, "t10", "sub/lost.csv", 0, "l"),
			write(t, on.store, "t2", "lost.csv", 0, "l"),
		}
		if _, err := on.store.Put(ctx, "job-1", "args", []byte("1")); err != nil {
			t.Fatal(err)
		}
		gone := write(t, on.store, "t3", "sub/gone.csv", 0, "g")
		for range 2 {
			if err := on.store.Remove(ctx, gone); err != nil {
				t.Error(err)
			}
		}
		if on.dir != "" {
			if _, err := os.Stat(filepath.Join(on.dir, "jobs", "job-1", "a-t3")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the folder of an attempt whose files are removed: %v", err)
			}
		}
		if err := on.store.Remove(ctx, lost...); err != nil {
			t.Error(err)
		}
		wantKeys(t, on.store, "a-t1/won.csv", "p-args-6b86b273ff34fce1")
		for range 2 {
			if _, err := on.store.RemoveAll(ctx, "job-1"); err != nil {
				t.Error(err)
			}
		}
		wantKeys(t, on.store)
		if on.dir != "" {
			if left, _ := os.ReadDir(filepath.Join(on.dir, "jobs")); len(left) != 0 {
				t.Errorf("folders are left over: %v", left)
			}
		}
	})
}

func TestRemoveManyPages(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer b.Close()
	s := blobout.New(b, nil)
	const many = 2500
	for part := 1; part <= many; part++ {
		write(t, s, "t", "out", part, "x")
	}
	if n, err := s.RemoveAll(t.Context(), "job-1"); err != nil || n != many {
		t.Errorf("removed %d, %v; want %d", n, err, many)
	}
}

// refuses is a hook of a bucket whose removals fail.
type refuses struct{ key string }

func (r refuses) Before(_ context.Context, op fault.Op) fault.Fate {
	if op.Verb == "remove" && op.Key == r.key {
		return fault.Fate{How: fault.Refused}
	}
	return fault.Fate{}
}

func (refuses) After(context.Context, fault.Op) {}

// What could not be removed is an error, whichever verb it was asked of: the caller must come again.
func TestRemoveTellsWhatItCouldNotRemove(t *testing.T) {
	bad := blobout.AttemptPrefix("job-1", "t") + "b"
	b := blob.NewBucket(&fault.Blobs{Hook: refuses{bad}})
	defer b.Close()
	s := blobout.New(b, &blobout.Options{Parallel: 1})
	var parts []blobout.Part
	for _, name := range []string{"a", "b", "c"} {
		parts = append(parts, write(t, s, "t", name, 0, "x"))
	}
	for verb, remove := range map[string]func() error{
		"Remove":    func() error { return s.Remove(t.Context(), parts...) },
		"RemoveAll": func() error { _, err := s.RemoveAll(t.Context(), "job-1"); return err },
	} {
		if err := remove(); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s = %v, want an error that names %s", verb, err, bad)
		}
	}
	if there, err := s.List(t.Context(), "job-1"); err != nil || len(there) == 0 {
		t.Errorf("list = %v, %v, want the blob that could not be removed", there, err)
	}
}

// Tidying must not take away the folder in which another writer is about to begin.
func TestCreateWhileFoldersAreRemoved(t *testing.T) {
	on := onDir(t, t.TempDir())
	defer on.bucket.Close()
	on.store = blobout.New(on.bucket, &blobout.Options{Dir: on.dir, NoSync: true})
	none := blobout.Part{Key: blobout.Prefix("job-1") + "p-args-0"}
	for i := range 300 {
		token := fmt.Sprint("t", i)
		var tidying sync.WaitGroup
		tidying.Go(func() {
			for range 10 {
				if err := on.store.Remove(t.Context(), none); err != nil {
					t.Error(err)
				}
			}
		})
		out := write(t, on.store, token, "out", 0, "x")
		tidying.Wait()
		if err := on.store.Remove(t.Context(), out); err != nil {
			t.Error(err)
		}
	}
}
