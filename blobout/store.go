package blobout

import (
	"context"
	"fmt"
	"os"
	"time"

	"gocloud.dev/blob"
)

// Options are the options of a [Store]. The zero value is fine.
type Options struct {
	// Dir is the directory, if the bucket is one. With it, new entries of folders are synced to disk, and folders that
	// have become empty are removed; gocloud does neither.
	Dir string

	// NoSync leaves it to the operating system when files reach the disk. Without it, a blob that a record lists
	// survives a power failure. It means something only if the bucket is a directory.
	NoSync bool

	// Upload lets the bucket's driver read what is written, instead of writing to it. It is for Azure Blob Storage, whose
	// driver panics when it closes a writer whose upload has failed, and takes the reason with it.
	Upload bool

	// Parallel is how many blobs are deleted at once. Default 8. With 1 they are deleted one after the other, by the
	// caller's goroutine.
	Parallel int
}

// Store keeps blobs in a bucket. All methods may be called concurrently.
type Store struct {
	bucket *blob.Bucket
	opts   Options
	sync   func(*os.File) error // (*os.File).Sync, unless a test looks on
}

// New returns a Store that uses the bucket, which stays the caller's to close. Opts may be nil.
func New(bucket *blob.Bucket, opts *Options) *Store {
	s := &Store{bucket: bucket, sync: (*os.File).Sync}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Parallel < 1 {
		s.opts.Parallel = 8
	}
	return s
}

// SignedURL returns a URL from which anyone can read the blob until it expires; at least a second, at most what the
// service allows. The error is [ErrUnsupported] where the bucket cannot: in memory, or in a directory without a
// signer. It does not look whether the blob exists. An output in several parts has no one URL: Join them first.
func (s *Store) SignedURL(ctx context.Context, p Part, expiry time.Duration) (string, error) {
	if expiry < time.Second {
		return "", fmt.Errorf("blobout: sign %q: expiry %v is under a second", p.Key, expiry)
	}
	u, err := s.bucket.SignedURL(ctx, p.Key, &blob.SignedURLOptions{Expiry: expiry})
	return u, wrap(err, "sign %q for %v", p.Key, expiry)
}
