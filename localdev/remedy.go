package localdev

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store/sqldocstore"
)

// dirError wraps an error of the data directory with what to do about it.
func dirError(dir string, err error) error {
	remedy := "choose another directory"
	switch {
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		remedy = "make it writable for this user, or choose another directory"
	case errors.Is(err, syscall.ENOSPC):
		remedy = "the disk is full: free some space, or choose another directory"
	case errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrExist):
		remedy = "a file of that name is in the way: move it, or choose another directory"
	}
	return fmt.Errorf("%w: data directory %s: %s: %w", functions.ErrConfig, dir, remedy, err)
}

// storeError wraps an error of opening the store with what to do about it.
func storeError(address string, err error) error {
	text := strings.ToLower(err.Error())
	file := sqliteFile(address)
	remedy := ""
	switch {
	case strings.Contains(text, "not a database") || strings.Contains(text, "malformed"):
		remedy = "the file is damaged, or is not a SQLite database: restore it from a backup, or move it away to start with an empty one"
	case sqldocstore.ErrorCode(err) == gcerrors.InvalidArgument:
		return fmt.Errorf("%w: store %s: %w", functions.ErrConfig, functions.RedactURL(address), err)
	case sqldocstore.ErrorCode(err) == gcerrors.ResourceExhausted || errors.Is(err, syscall.ENOSPC):
		remedy = "the disk is full: free some space"
	case errors.Is(err, sqldocstore.ErrUnavailable) && file != "":
		remedy = "another process has locked it: end that process, or choose another file"
	case errors.Is(err, sqldocstore.ErrUnavailable):
		remedy = "the database cannot be reached: check the address, and that the server runs"
	case strings.Contains(text, "readonly") || strings.Contains(text, "read-only") || errors.Is(err, fs.ErrPermission):
		remedy = "make the file and its directory writable for this user"
	case file != "" && missing(filepath.Dir(file)):
		remedy = "there is no such directory: make it"
	case file != "" && isDir(file):
		remedy = "that is a directory: name a file"
	}
	if remedy == "" {
		return fmt.Errorf("open store %s: %w", functions.RedactURL(address), err)
	}
	return fmt.Errorf("open store %s: %s: %w", functions.RedactURL(address), remedy, err)
}

// sqliteFile returns the file that a store's URL names, or "" if it names none.
func sqliteFile(address string) string {
	rest, ok := strings.CutPrefix(address, sqldocstore.SchemeSQLite+":")
	if !ok || strings.HasPrefix(rest, ":memory:") {
		return ""
	}
	rest, _, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	if name, err := url.PathUnescape(rest); err == nil {
		return filepath.FromSlash(name)
	}
	return ""
}

func missing(dir string) bool {
	_, err := os.Stat(dir)
	return errors.Is(err, fs.ErrNotExist)
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
