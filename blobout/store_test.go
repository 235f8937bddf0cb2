package blobout_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/blobout"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
)

// target is a bucket to test with; dir is empty unless it is a directory.
type target struct {
	store  *blobout.Store
	bucket *blob.Bucket
	dir    string
}

// onEach runs a test on a bucket in memory and on one in a directory.
func onEach(t *testing.T, test func(t *testing.T, on target)) {
	t.Run("memory", func(t *testing.T) {
		b := memblob.OpenBucket(nil)
		defer b.Close()
		test(t, target{store: blobout.New(b, nil), bucket: b})
	})
	t.Run("directory", func(t *testing.T) {
		test(t, onDir(t, t.TempDir()))
	})
}

func onDir(t *testing.T, dir string) target {
	t.Helper()
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return target{store: blobout.New(b, &blobout.Options{Dir: dir}), bucket: b, dir: dir}
}

func write(t *testing.T, s *blobout.Store, token, name string, part int, content string) blobout.Part {
	t.Helper()
	w, err := s.Create(t.Context(), "job-1", token, name, part, "text/csv")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	p, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t *testing.T, s *blobout.Store, offset, length int64, parts ...blobout.Part) string {
	t.Helper()
	r, err := s.Open(t.Context(), parts, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// keys lists what is there of job-1.
func keys(t *testing.T, s *blobout.Store) []string {
	t.Helper()
	parts, err := s.List(context.WithoutCancel(t.Context()), "job-1")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, p := range parts {
		names = append(names, strings.TrimPrefix(p.Key, blobout.Prefix("job-1")))
	}
	return names
}

func wantKeys(t *testing.T, s *blobout.Store, want ...string) {
	t.Helper()
	if got := keys(t, s); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("blobs are %q, want %q", got, want)
	}
}

func TestWriteReadJoin(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		a := write(t, on.store, "t1", "report/march.csv", 1, "one,")
		b := write(t, on.store, "t2", "report/march.csv", 2, "two,")
		empty := write(t, on.store, "t2", "report/march.csv", 3, "")
		c := write(t, on.store, "t3", "report/march.csv", 4, "three")
		if want := "jobs/job-1/a-t1/report/march.csv.part-0001"; a.Key != want {
			t.Errorf("key is %q, want %q", a.Key, want)
		}
		if got := read(t, on.store, 0, -1, a, b, empty, c); got != "one,two,three" {
			t.Errorf("read %q", got)
		}
		if got := read(t, on.store, 2, 5, a, b, empty, c); got != "e,two" {
			t.Errorf("range is %q", got)
		}
		joined, err := on.store.Join(t.Context(), "job-1", "t3", "report/march.csv", "text/csv", []blobout.Part{a, b, empty, c})
		if err != nil {
			t.Fatal(err)
		}
		if joined.Size != 13 || read(t, on.store, 0, -1, joined) != "one,two,three" {
			t.Errorf("joined is %+v", joined)
		}
		if on.dir != "" {
			got, err := os.ReadFile(filepath.Join(on.dir, "jobs/job-1/a-t3/report/march.csv"))
			if err != nil || string(got) != "one,two,three" {
				t.Errorf("the file for people holds %q, %v", got, err)
			}
		}
	})
}

func TestAnUnfinishedBlobIsNotSeen(t *testing.T) {
	big := strings.Repeat("x", 1<<16)
	ends := map[string]func(t *testing.T, w *blobout.Writer, cancel func()) error{
		"abort": func(t *testing.T, w *blobout.Writer, cancel func()) error {
			w.Abort()
			w.Abort()
			_, err := w.Close()
			return err
		},
		"cancel, then close": func(t *testing.T, w *blobout.Writer, cancel func()) error {
			cancel()
			_, err := w.Close()
			return err
		},
		"cancel, then write": func(t *testing.T, w *blobout.Writer, cancel func()) error {
			cancel()
			if _, err := io.WriteString(w, "more"); !errors.Is(err, context.Canceled) {
				t.Errorf("write after cancel: %v", err)
			}
			_, err := w.Close()
			return err
		},
	}
	onEach(t, func(t *testing.T, on target) {
		for name, end := range ends {
			t.Run(name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w, err := on.store.Create(ctx, "job-1", "t", "out.csv", 0, "")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(w, big); err != nil {
					t.Fatal(err)
				}
				if err := end(t, w, cancel); err == nil {
					t.Error("closed without an error")
				}
				if _, err := w.Close(); err == nil {
					t.Error("closed again without an error")
				}
				wantKeys(t, on.store)
			})
		}
	})
}

func TestCloseAndAbortTwice(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		w, err := on.store.Create(t.Context(), "job-1", "t", "out.csv", 0, "")
		if err != nil {
			t.Fatal(err)
		}
		first, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		w.Abort()
		second, err := w.Close()
		if err != nil || first != second || first.Size != 0 {
			t.Errorf("second close is %+v, %v; first %+v", second, err, first)
		}
		if _, err := w.Write([]byte("x")); !errors.Is(err, blobout.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
		wantKeys(t, on.store, "a-t/out.csv")
	})
}

func TestPayloads(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		ctx := t.Context()
		p, err := on.store.Put(ctx, "job-1", "args", []byte(`{"a":1}`))
		if err != nil {
			t.Fatal(err)
		}
		again, err := on.store.Put(ctx, "job-1", "args", []byte(`{"a":1}`))
		if err != nil || again != p {
			t.Errorf("put again: %+v, %v; want %+v", again, err, p)
		}
		if got, err := on.store.Get(ctx, p); err != nil || string(got) != `{"a":1}` {
			t.Errorf("get: %q, %v", got, err)
		}
		parked, err := on.store.Park(ctx, "job-1", "t", []byte("\xff"))
		if err != nil || !strings.HasPrefix(parked.Key, "jobs/job-1/raw-") {
			t.Errorf("park: %+v, %v", parked, err)
		}
		none, err := on.store.Put(ctx, "job-1", "args", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := on.store.Get(ctx, none); err != nil || len(got) != 0 {
			t.Errorf("get of nothing: %q, %v", got, err)
		}
		if n, err := on.store.RemoveAll(ctx, "job-1"); err != nil || n != 3 {
			t.Errorf("removed %d, %v", n, err)
		}
		for _, gone := range []blobout.Part{p, none} {
			if _, err := on.store.Get(ctx, gone); !errors.Is(err, blobout.ErrNotFound) {
				t.Errorf("get after removal: %v", err)
			}
		}
	})
}

func TestCorruption(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		ctx := t.Context()
		p, err := on.store.Put(ctx, "job-1", "args", []byte("0123456789"))
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"shorter": "012345", "longer": "0123456789a", "other": "0123456780"} {
			t.Run(name, func(t *testing.T) {
				if err := on.bucket.WriteAll(ctx, p.Key, []byte(content), nil); err != nil {
					t.Fatal(err)
				}
				if _, err := on.store.Get(ctx, p); !errors.Is(err, blobout.ErrCorrupt) {
					t.Errorf("get: %v", err)
				}
				if _, err := on.store.Join(ctx, "job-1", "t", "joined", "", []blobout.Part{p}); !errors.Is(err, blobout.ErrCorrupt) {
					t.Errorf("join: %v", err)
				}
				wantKeys(t, on.store, strings.TrimPrefix(p.Key, "jobs/job-1/"))
			})
		}
	})
}

func TestOpenErrors(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		p := write(t, on.store, "t", "out", 0, "12345")
		for _, c := range []struct {
			offset int64
			part   blobout.Part
			want   error
		}{
			{0, blobout.Part{Key: "jobs/job-1/a-t/gone", Size: 1}, blobout.ErrNotFound},
			{6, p, blobout.ErrRange},
			{-1, p, blobout.ErrRange},
		} {
			if _, err := on.store.Open(t.Context(), []blobout.Part{c.part}, c.offset, -1); !errors.Is(err, c.want) {
				t.Errorf("open %+v at %d: %v, want %v", c.part, c.offset, err, c.want)
			}
		}
		if got := read(t, on.store, 5, -1, p); got != "" {
			t.Errorf("at the end there is %q", got)
		}
		if got := read(t, on.store, 3, 100, p); got != "45" {
			t.Errorf("over the end there is %q", got)
		}
	})
}

func TestSignedURLWhereItIsNot(t *testing.T) {
	onEach(t, func(t *testing.T, on target) {
		p := write(t, on.store, "t", "out", 0, "12345")
		if _, err := on.store.SignedURL(t.Context(), p, time.Minute); !errors.Is(err, blobout.ErrUnsupported) {
			t.Errorf("sign: %v", err)
		}
		if _, err := on.store.SignedURL(t.Context(), p, 0); err == nil {
			t.Error("signed for no time")
		}
	})
}

func TestIDsAndTokensAreChecked(t *testing.T) {
	s := blobout.New(memblob.OpenBucket(nil), nil)
	ctx := t.Context()
	for _, bad := range []string{"", "a/b", "..", ".", "a\x00", " a", "x.attrs", "a%"} {
		calls := map[string]func() error{
			"create": func() error { _, err := s.Create(ctx, bad, "t", "n", 0, ""); return err },
			"token":  func() error { _, err := s.Create(ctx, "id", bad, "n", 0, ""); return err },
			"put":    func() error { _, err := s.Put(ctx, bad, "n", nil); return err },
			"park":   func() error { _, err := s.Park(ctx, bad, "t", nil); return err },
			"list":   func() error { _, err := s.List(ctx, bad); return err },
			"remove": func() error { _, err := s.RemoveAll(ctx, bad); return err },
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, blobout.ErrName) {
				t.Errorf("%s with %q: %v", name, bad, err)
			}
		}
	}
}
