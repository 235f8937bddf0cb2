package localdev_test

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
	"time"

	"gocloud.dev/blob/fileblob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/store"
)

// gocloud's memory store by itself crashes the process when a query reads a document that is being
// updated. The race detector sees it before that.
func TestMemoryStoreBearsQueriesBesideWrites(t *testing.T) {
	s := start(t, double(), localdev.Config{Store: "mem://", Blobs: "mem://"})
	ctx, stop := context.WithCancel(t.Context())
	var looking sync.WaitGroup
	looks := 0
	looking.Go(func() {
		for ; ctx.Err() == nil; looks++ {
			_, err := s.Runtime().Sweep(t.Context(), functions.SweepRequest{})
			_, listErr := s.Client().List(t.Context(), functions.ListFilter{Limit: 100})
			if err := errors.Join(err, listErr); err != nil && t.Context().Err() == nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(func() { stop(); looking.Wait() }) // also when the test fails before
	const jobs = 300
	for i := range jobs {
		if _, err := s.Client().Submit(t.Context(), "double", i, functions.Retention(10*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() error {
		if n := s.Runtime().Stats().Succeeded.Load(); n != jobs {
			return fmt.Errorf("%d of %d jobs succeeded", n, jobs)
		}
		return nil
	})
	stop()
	looking.Wait()
	if looks == 0 {
		t.Error("there was no query beside the writes")
	}
}

func TestStorageBesideAStack(t *testing.T) {
	cfg := localdev.Config{Dir: t.TempDir()}
	client := start(t, double(), cfg).Client()
	receipt, err := client.Submit(t.Context(), "double", 21)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Wait(t.Context(), receipt.ID); err != nil {
		t.Fatal(err)
	}
	s, err := localdev.OpenStorage(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	records, err := store.New(s.Records, nil)
	if err != nil {
		t.Fatal(err)
	}
	if j, err := records.Get(t.Context(), receipt.ID); err != nil || j.State != store.Succeeded {
		t.Errorf("job %+v, %v, want err == nil && j.State == store.Succeeded", j, err)
	}
	if files, err := s.Blobs.List(t.Context(), receipt.ID); err != nil || len(files) != 1 {
		t.Errorf("files %v, %v, want err == nil && len(files) == 1", files, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestStorageThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	if _, err := localdev.OpenStorage(t.Context(), localdev.Config{Dir: dir}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want errors.Is(err, fs.ErrNotExist)", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it made %v, %v", left, err)
	}
	file := "sqlite://" + filepath.Join(dir, "x.db")
	for _, cfg := range []localdev.Config{
		{Store: "mem://", Blobs: "file://" + dir}, {Store: "sqlite::memory:"}, {Store: file, Blobs: "mem://"},
		{Store: file, Blobs: "file://" + filepath.Join(dir, "none")},
	} {
		if _, err := localdev.OpenStorage(t.Context(), cfg); !errors.Is(err, functions.ErrConfig) {
			t.Errorf("%+v: error %v, want errors.Is(err, functions.ErrConfig)", cfg, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("opening made %v, %v, want nothing", left, err)
	}
}

func TestWrongURLsAreRefusedWithoutTheirSecrets(t *testing.T) {
	dir := t.TempDir()
	for _, cfg := range []localdev.Config{
		{Store: "sqlite://" + filepath.Join(dir, "x.db") + "?foo=hunter2"}, {Store: "postgres:/me:hunter2@h/db"},
		{Store: "postgres://me:hunter2/x@h/db"}, {Store: "mysql://me:hunter2@h/db?password=hunter2"},
		{Store: "mem://", Blobs: "s3://me:hunter2@bucket"}, {Store: "mem://", Blobs: "file://me:hunter2@host/x"},
	} {
		cfg.Dir = dir
		_, err := localdev.Start(t.Context(), double(), cfg)
		if !errors.Is(err, functions.ErrConfig) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf(`%+v: error %v, want errors.Is(err, functions.ErrConfig) && not strings.Contains(err.Error(), "hunter2")`, cfg, err)
		}
	}
}

// A program may bring drivers of its own. What they say about a bucket reaches package blobout, and
// their store is closed as they ask.
func TestDriversOfTheProgram(t *testing.T) {
	dir := t.TempDir()
	closed := 0
	set := drivers.New(func(s *drivers.Set) {
		s.AddStore("own", drivers.StoreDriver{Open: func(context.Context, *drivers.Address) (*docstore.Collection, func() error, error) {
			coll, err := mem.OpenCollection()
			return coll, func() error { closed++; return coll.Close() }, err
		}})
		s.AddBucket("own", func(context.Context, *drivers.Address) (drivers.Bucket, error) {
			b, err := fileblob.OpenBucket(dir, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
			return drivers.Bucket{Bucket: b, Dir: dir}, err
		})
	})
	cfg := localdev.Config{Store: "own://", Blobs: "own://", Drivers: set, Log: quiet()}
	s, err := localdev.Start(t.Context(), double(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blobs().Put(t.Context(), "job-1", "args", []byte("x")); err != nil {
		t.Error(err)
	}
	if n, err := s.Blobs().RemoveAll(t.Context(), "job-1"); err != nil || n != 1 {
		t.Errorf("removed %d blobs, %v, want 1", n, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "jobs", "*")); err != nil || len(left) > 0 {
		t.Errorf("folders left are %v, %v, want none: blobout knows the directory", left, err)
	}
	stop(t, s)
	if closed != 1 {
		t.Errorf("the store was closed %d times, want 1", closed)
	}
	cfg.Blobs = "mem://"
	if _, err := localdev.Start(t.Context(), double(), cfg); !errors.Is(err, functions.ErrConfig) || closed != 2 {
		t.Errorf("start without a driver of the blobs: %v, store closed %d times, want ErrConfig and 2", err, closed)
	}
}

// Schemes may have capitals. What is missing is not made, and memory is refused.
func TestStorageBehindSchemesWithCapitals(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "up.db")
	for address, want := range map[string]error{"SQLITE://" + filepath.ToSlash(file): fs.ErrNotExist, "MEM://": functions.ErrConfig} {
		_, err := localdev.OpenStorage(t.Context(), localdev.Config{Dir: dir, Store: address, Blobs: "file://" + filepath.ToSlash(dir)})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v, want it not made", file, err)
	}
}
