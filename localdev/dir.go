package localdev

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers/files"
)

// Names in the data directory.
const (
	storeFile  = "piecework.db"
	blobsDir   = "blobs"
	formatFile = "format.json"
)

// formatVersion is the layout of the data directory that this version writes.
const formatVersion = 1

// formatText is the content of formatFile.
var formatText = fmt.Appendf(nil, "{\"format\": %d}\n", formatVersion)

// openDir makes the data directory, unless store and blobs are elsewhere, and refuses a directory
// of a newer version.
func openDir(c Config) error {
	if c.Store != "" && c.Blobs != "" {
		return nil
	}
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return files.DirError(c.Dir, err)
	}
	err := checkFormat(c.Dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeWhole(filepath.Join(c.Dir, formatFile), formatText); err != nil {
		return files.DirError(c.Dir, err)
	}
	return nil
}

// checkFormat refuses a data directory that this version cannot read. It returns fs.ErrNotExist if
// there is no format.
func checkFormat(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return files.DirError(dir, err)
	}
	var have struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &have); err != nil || have.Format < 1 {
		if bytes.HasPrefix(formatText, text) && holdsNothing(dir) {
			return fs.ErrNotExist
		}
		return fmt.Errorf("%w: data directory %s: %s does not say which format the directory has: if piecework wrote "+
			"the directory, remove that file; otherwise choose another directory", functions.ErrConfig, dir, formatFile)
	}
	if have.Format > formatVersion {
		return fmt.Errorf("%w: data directory %s: a newer version wrote it (format %d, this one knows %d): update this "+
			"program, or choose another directory", functions.ErrConfig, dir, have.Format, formatVersion)
	}
	return nil
}

// holdsNothing reports whether a directory has only the file of its format. An older version, which
// did not write that file atomically, may have left it incomplete at its first start on a full
// disk.
func holdsNothing(dir string) bool {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), formatFile) {
			return false
		}
	}
	return err == nil
}

// writeWhole writes a file atomically and syncs it.
func writeWhole(name string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // it may be closed already
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
