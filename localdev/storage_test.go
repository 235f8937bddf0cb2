package localdev_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/store"
)

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
