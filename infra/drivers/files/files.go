// Package files registers directories as buckets.
//
// # URLs
//
//	file:///var/lib/piecework/blobs     the directory; it is made if there is none
//
// # Parameters
//
//	base_url=https://files.example.com/blob    where the files are served, for signed URLs
//	secret_key_path=/etc/piecework/file.key    the key to sign them with; both or none
//
// # Environment and credentials
//
// None but the rights of the process on the directory.
//
// # Limits
//
// All processes need the same directory: one machine, or a network file system with atomic renames.
// A name is at most 255 bytes a folder. Signing needs a server of yours that verifies with the same
// key.
//
// # Delivery
//
// A bucket delivers nothing. A file appears whole, by a rename, and is synced to disk before a
// record lists it.
//
// # Delay
//
// Not of a bucket.
package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"gocloud.dev/blob/fileblob"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
)

// Register registers the bucket file.
func Register(s *drivers.Set) { s.AddBucket(fileblob.Scheme, openBucket) }

func openBucket(_ context.Context, a *drivers.Address) (drivers.Bucket, error) {
	var none drivers.Bucket
	base, key := a.Params.String("base_url", ""), a.Params.String("secret_key_path", "")
	if err := a.Check(); err != nil {
		return none, err
	}
	if a.Host != "" || a.Path == "" {
		return none, a.Errorf("want an absolute path after three slashes: file:///var/lib/piecework/blobs")
	}
	opts := &fileblob.Options{
		CreateDir: true,
		NoTempDir: true,                       // a file cannot be renamed from another file system
		Metadata:  fileblob.MetadataDontWrite, // no .attrs beside what people look for
	}
	if (base == "") != (key == "") {
		return none, a.Errorf("base_url and secret_key_path belong together: give both or none")
	}
	if base != "" {
		signer, err := signer(base, key)
		if err != nil {
			return none, a.Errorf("%w", err)
		}
		opts.URLSigner = signer
	}
	dir := directory(a.Path)
	bucket, err := fileblob.OpenBucket(dir, opts)
	if err != nil {
		return none, DirError(dir, err)
	}
	return drivers.Bucket{Bucket: bucket, Dir: dir}, nil
}

// DirError wraps an error of a data directory with what to do about it.
func DirError(dir string, err error) error {
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

// Dir returns the directory that a bucket's URL names, or "" if it names none.
func Dir(rawURL string) string {
	a, err := drivers.ParseAddress(rawURL)
	if err != nil || a.Scheme != fileblob.Scheme || a.Host != "" || a.Path == "" {
		return ""
	}
	return directory(a.Path)
}

func signer(base, keyFile string) (fileblob.URLSigner, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("base_url=%q: want the full URL of your file server", base)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("secret_key_path: %w", err)
	}
	if key = bytes.TrimSpace(key); len(key) < 16 {
		return nil, fmt.Errorf("secret_key_path: %s has %d bytes: a key needs 16 or more", keyFile, len(key))
	}
	return fileblob.NewURLSignerHMAC(u, key), nil
}

// directory is the directory of a URL's path, which comes without its first slash; on Windows, C:/x
// is the whole of it.
func directory(path string) string {
	if runtime.GOOS != "windows" {
		path = "/" + strings.TrimPrefix(path, "/")
	}
	return filepath.FromSlash(path)
}
