package demo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/piecework/piecework/functions"
)

// The SHA-256 sums of the two files. Another program in another language computed them with another
// formula: the angle between unit vectors in 80-bit floats, every ZIP code against every airport.
const (
	nearestSHA256 = "9cc8aa3ecf60097629c3f8d48bc92e12ced97eec97104ec2e644871cf70352f8"
	byStateSHA256 = "dd604235e6d87e0fa51dec3c4ea54498f90bff8d90f79d79516973d73a84e626"
)

// File is an output of the job, copied to a plain file.
type File struct {
	Name   string `json:"name"`
	Path   string `json:"path"` // absolute
	Size   int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Want   string `json:"want_sha256"` // which an independent program computed
}

// fetch copies the outputs of a job into a directory.
func fetch(ctx context.Context, client *functions.Client, id, dir string) ([]File, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	files := []File{{Name: nearestFile, Want: nearestSHA256}, {Name: byStateFile, Want: byStateSHA256}}
	for i := range files {
		f := &files[i]
		f.Path = filepath.Join(dir, f.Name)
		from, _, err := client.OpenOutput(ctx, id, f.Name, 0, -1)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(from)
		if err := errors.Join(err, from.Close()); err != nil {
			return nil, fmt.Errorf("output %s of job %s: %w", f.Name, id, err)
		}
		if err := os.WriteFile(f.Path, text, 0o600); err != nil {
			return nil, err
		}
		f.Size, f.SHA256 = int64(len(text)), fmt.Sprintf("%x", sha256.Sum256(text))
	}
	return files, nil
}

// logFile marks a directory as the demo's, and keeps log lines off the terminal.
const logFile = "demo.log"

// prepare makes the directory, or reuses the one of an earlier demo, and opens the log there. It
// refuses a directory with files that no demo wrote, so that it overwrites nothing of the user's.
func prepare(dir string) (log *slog.Logger, closeLog func() error, err error) {
	if dir == "" {
		return nil, nil, fmt.Errorf("%w: the directory has no name", functions.ErrInvalid)
	}
	if found, err := os.ReadDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("the demo cannot use its directory; choose another: %w", err)
	} else if _, err := os.Stat(filepath.Join(dir, logFile)); err != nil && len(found) > 0 {
		return nil, nil, fmt.Errorf("%w: directory %s is not empty, and no demo wrote it; choose an empty or a new one", functions.ErrInvalid, dir)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, nil, fmt.Errorf("the demo cannot make its directory; choose another: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil { // keep the directory out of version control
		err = os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("# Made by the demo of Piecework: safe to remove.\n*\n"), 0o600)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the demo cannot write its directory; choose another: %w", err)
	}
	return slog.New(slog.NewTextHandler(f, nil)), f.Close, nil
}
