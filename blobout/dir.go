package blobout

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// syncFolders brings a new name to disk: the entries of all folders on the way to it, each of them perhaps new.
func (s *Store) syncFolders(key string) error {
	if s.opts.Dir == "" || s.opts.NoSync {
		return nil
	}
	for folder := path.Dir(key); ; folder = path.Dir(folder) {
		if err := s.syncDir(filepath.Join(s.opts.Dir, filepath.FromSlash(folder))); err != nil {
			return err
		}
		if folder == "." {
			return nil
		}
	}
}

func (s *Store) syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.sync(f); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}

// removeFolders removes the folders below prefix that are empty, and its own. It is only tidying: a folder that is not
// empty stays, and an error is no matter.
func (s *Store) removeFolders(prefix string) {
	if s.opts.Dir == "" {
		return
	}
	top := filepath.Join(s.opts.Dir, filepath.FromSlash(strings.TrimSuffix(prefix, "/")))
	var folders []string
	_ = filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			folders = append(folders, p)
		}
		return nil
	})
	for _, folder := range slices.Backward(folders) { // the walk is top down
		_ = os.Remove(folder)
	}
}
