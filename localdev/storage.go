package localdev

import (
	"cmp"
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

// Storage is the stored state of a Stack, for tools that read it.
type Storage struct {
	Records *docstore.Collection
	Bucket  *blob.Bucket
	Blobs   *blobout.Store // over Bucket
}

// OpenStorage opens the stored state of a Stack, which may be running or not. It uses only Dir,
// Store and Blobs of the configuration. It returns fs.ErrNotExist for a data directory without a
// store, and makes nothing.
func OpenStorage(ctx context.Context, c Config) (s *Storage, err error) {
	if c.Dir, err = filepath.Abs(cmp.Or(c.Dir, DefaultDir)); err != nil {
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

// findStorage refuses missing state. Opening would make it, or find nothing.
func findStorage(c Config) error {
	for _, address := range []string{c.Store, c.Blobs} {
		if strings.HasPrefix(address, "mem:") || strings.HasPrefix(address, "sqlite::memory:") {
			return fmt.Errorf("%w: %s is in the memory of another process, and cannot be opened from here",
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
	return nil // older than the file of the format
}

// Close closes the store and the bucket.
func (s *Storage) Close() error {
	return errors.Join(s.Bucket.Close(), s.Records.Close())
}
