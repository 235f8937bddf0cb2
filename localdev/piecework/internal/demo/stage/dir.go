package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/piecework/piecework/functions"
)

// ignoreFile keeps the directory out of the version control of whatever project it was made in.
const ignoreFile = ".gitignore"

// logFile gets what an operator should know: on a terminal it would run into the progress.
const logFile = "demo.log"

// prepare makes the directory, or takes that of an earlier demo, and opens a log there.
func prepare(dir string) (log *slog.Logger, closeLog func() error, err error) {
	if err := claim(dir); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("the demo's log: %w", err)
	}
	return slog.New(slog.NewTextHandler(f, nil)), f.Close, nil
}

// claim makes the directory the demo's. One that holds something which no demo wrote is refused, so that no file of
// the user's is overwritten.
func claim(dir string) error {
	if dir == "" {
		return fmt.Errorf("%w: the directory has no name", functions.ErrInvalid)
	}
	found, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("the demo's directory cannot be made; choose another: %w", err)
		}
	case err != nil:
		return fmt.Errorf("the demo's directory cannot be used; choose another: %w", err)
	case len(found) > 0 && !earlier(dir):
		return fmt.Errorf("%w: directory %s is not empty, and no demo wrote it; choose one that is empty, or does not exist",
			functions.ErrInvalid, dir)
	}
	name := filepath.Join(dir, ignoreFile)
	if err := os.WriteFile(name, []byte("# Made by the demo of Piecework: remove the directory whenever you like.\n*\n"), 0o600); err != nil {
		return fmt.Errorf("the demo's directory cannot be written; choose another: %w", err)
	}
	return nil
}

// earlier reports whether a demo has written the directory.
func earlier(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ignoreFile))
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, logFile))
	}
	return err == nil
}
