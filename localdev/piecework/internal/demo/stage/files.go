package stage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/demo"
)

// File is an output of the job, as a plain file.
type File struct {
	Name   string `json:"name"`
	Path   string `json:"path"` // absolute
	Size   int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Known  bool   `json:"as_known"` // the sum is the one that an independent program found
}

// known are the sums that must come out.
func known() map[string]string {
	return map[string]string{demo.NearestFile: demo.NearestSHA256, demo.ByStateFile: demo.ByStateSHA256}
}

// fetch copies the outputs of a job into a directory.
func fetch(ctx context.Context, client *functions.Client, id, dir string) ([]File, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("directory of the outputs: %w", err)
	}
	files := []File{{Name: demo.NearestFile}, {Name: demo.ByStateFile}}
	for i := range files {
		f := &files[i]
		f.Path = filepath.Join(dir, f.Name)
		if err := f.fetch(ctx, client, id); err != nil {
			return nil, fmt.Errorf("output %s of job %s: %w", f.Name, id, err)
		}
		f.Known = f.SHA256 == known()[f.Name]
	}
	return files, nil
}

// fetch copies one output. A reader of the file never sees half of it.
func (f *File) fetch(ctx context.Context, client *functions.Client, id string) error {
	from, _, err := client.OpenOutput(ctx, id, f.Name, 0, -1)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.CreateTemp(filepath.Dir(f.Path), f.Name+".*")
	if err != nil {
		return err
	}
	defer os.Remove(to.Name()) //nolint:errcheck // after the rename there is nothing to remove
	sum := sha256.New()
	f.Size, err = io.Copy(io.MultiWriter(to, sum), from)
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return os.Rename(to.Name(), f.Path)
}

// unknown says which of the files do not have the sums that they must have; nil if all do.
func unknown(files []File) error {
	var errs []error
	for _, f := range files {
		if !f.Known {
			errs = append(errs, fmt.Errorf("%w: %s has the sum %s, must have %s", ErrDiffers, f.Path, f.SHA256, known()[f.Name]))
		}
	}
	return errors.Join(errs...)
}
