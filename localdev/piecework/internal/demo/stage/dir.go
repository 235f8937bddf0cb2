package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/piecework/piecework/functions"
)

// What localdev keeps in its directory, by name.
const (
	storeFile = "piecework.db"
	blobsDir  = "blobs"
)

// ignoreFile keeps the directory out of the version control of whatever project it was made in.
const ignoreFile = ".gitignore"

// prepare makes the directory, or takes that of an earlier demo. Any other that holds something is refused, so that
// no file of the user's is overwritten.
func prepare(dir string) error {
	if dir == "" {
		return fmt.Errorf("%w: the directory has no name", functions.ErrInvalid)
	}
	found, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make the demo's directory: %w", err)
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
		_, err = os.Stat(filepath.Join(dir, storeFile))
	}
	return err == nil
}
