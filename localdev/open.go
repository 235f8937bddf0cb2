package localdev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sqlite"
)

// Storage is the stored state of a Stack, for tools that read it.
type Storage struct {
	Records *docstore.Collection
	Bucket  *blob.Bucket
	Blobs   *blobout.Store // over Bucket

	closeRecords func() error
}

// OpenStorage opens the stored state of a Stack, which may be running or not. It uses only Dir,
// Store, Blobs and Drivers of the configuration. It returns fs.ErrNotExist for a store or blobs
// that do not exist on this machine, and makes nothing here.
func OpenStorage(ctx context.Context, c Config) (*Storage, error) {
	c, err := c.withDir()
	if err != nil {
		return nil, err
	}
	if err := findStorage(c); err != nil {
		return nil, err
	}
	return open(ctx, c)
}

// drivers returns what opens the stored state.
func (c Config) drivers() *drivers.Set {
	if c.Drivers != nil {
		return c.Drivers
	}
	return drivers.New(sqlite.Register, mem.Register, files.Register)
}

// open opens the store and the bucket, and makes files and directories that are missing.
func open(ctx context.Context, c Config) (s *Storage, err error) {
	set := c.drivers()
	s = &Storage{}
	if s.Records, s.closeRecords, err = set.OpenStore(ctx, c.storeURL()); err != nil {
		return nil, err
	}
	bucket, err := set.OpenBucket(ctx, c.blobsURL())
	if err != nil {
		return nil, errors.Join(err, s.closeRecords())
	}
	s.Bucket = bucket.Bucket
	s.Blobs = blobout.New(bucket.Bucket, &blobout.Options{Dir: bucket.Dir, Upload: bucket.Upload})
	return s, nil
}

// findStorage refuses missing state. Opening would make it, or find nothing.
func findStorage(c Config) error {
	for _, address := range []string{c.Store, c.Blobs} {
		if a, err := drivers.ParseAddress(address); err == nil && (a.Scheme == mem.Scheme || a.Path == ":memory:") {
			return fmt.Errorf("%w: %s is in the memory of another process, and cannot be opened from here",
				functions.ErrConfig, address)
		}
	}
	if file := sqlite.File(c.storeURL()); file != "" {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("%w: there is no store in %s: %w", functions.ErrConfig, filepath.Dir(file), err)
		}
	}
	if dir := files.Dir(c.blobsURL()); dir != "" {
		if _, err := os.Stat(dir); err != nil {
			return files.DirError(dir, err)
		}
	}
	if c.Store != "" && c.Blobs != "" {
		return nil
	}
	if err := checkFormat(c.Dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // older than the file of the format
}

// storeURL returns the URL of the store.
func (c Config) storeURL() string {
	return cmp.Or(c.Store, "sqlite://"+urlPath(filepath.Join(c.Dir, storeFile)))
}

// blobsURL returns the URL of the blobs.
func (c Config) blobsURL() string {
	return cmp.Or(c.Blobs, "file://"+urlPath(filepath.Join(c.Dir, blobsDir)))
}

// urlPath returns an absolute file name as the path of a URL.
func urlPath(name string) string {
	name = filepath.ToSlash(name)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return (&url.URL{Path: name}).EscapedPath()
}

// Close closes the store and the bucket.
func (s *Storage) Close() error {
	return errors.Join(s.Bucket.Close(), s.closeRecords())
}
