package localdev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
)

// Storage is what a Stack has stored: for tools that look at it.
type Storage struct {
	Records *docstore.Collection
	Bucket  *blob.Bucket
	Blobs   *blobout.Store // over Bucket
}

// OpenStorage opens what a Stack of this configuration has stored, without one or beside one. Of the configuration,
// only Dir, Store and Blobs count. A data directory that holds no store is fs.ErrNotExist, and is left as it is.
func OpenStorage(ctx context.Context, c Config) (s *Storage, err error) {
	if c.Dir == "" {
		c.Dir = DefaultDir
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return nil, fmt.Errorf("%w: localdev: data directory %q: %w", functions.ErrConfig, c.Dir, err)
	}
	if err := findStorage(c); err != nil {
		return nil, err
	}
	s = &Storage{}
	if s.Records, err = openStore(ctx, c); err != nil {
		return nil, err
	}
	var dir string
	if s.Bucket, dir, err = openBlobs(ctx, c, false); err != nil {
		return nil, errors.Join(err, s.Records.Close())
	}
	s.Blobs = blobStore(s.Bucket, dir)
	return s, nil
}

// findStorage refuses what is not there: opening it would make it, or find nothing in it.
func findStorage(c Config) error {
	for _, address := range []string{c.Store, c.Blobs} {
		if strings.HasPrefix(address, "mem:") || strings.HasPrefix(address, "sqlite::memory:") {
			return fmt.Errorf("%w: %s is in the memory of the process that made it, and cannot be opened by another",
				functions.ErrConfig, address)
		}
	}
	if c.Store == "" {
		if _, err := os.Stat(filepath.Join(c.Dir, storeFile)); err != nil {
			return fmt.Errorf("there is no store in %s: %w", c.Dir, err)
		}
	}
	if c.Store != "" && c.Blobs != "" {
		return nil
	}
	if err := checkFormat(c.Dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // older than the file that says it
}

// Close closes what OpenStorage opened.
func (s *Storage) Close() error {
	return errors.Join(s.Bucket.Close(), s.Records.Close())
}
