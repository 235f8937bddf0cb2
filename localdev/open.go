package localdev

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
	"github.com/piecework/piecework/store/sqldocstore"
)

// openStore opens the collection of the records.
func openStore(ctx context.Context, c Config) (*docstore.Collection, error) {
	address := c.Store
	if address == "" {
		address = "sqlite://" + urlPath(filepath.Join(c.Dir, storeFile))
	}
	scheme, _, _ := strings.Cut(address, ":")
	switch scheme {
	case "mem":
		return OpenMemory()
	case sqldocstore.SchemeSQLite, sqldocstore.SchemePostgres, sqldocstore.SchemePostgreSQL:
		coll, err := sqldocstore.Open(ctx, address, SQLOptions())
		if err != nil {
			return nil, storeError(address, err)
		}
		return coll, nil
	default:
		return nil, fmt.Errorf("%w: store %q: use sqlite:///path/to/file, sqlite::memory:, postgres://user@host/db or mem://",
			functions.ErrConfig, functions.RedactURL(address))
	}
}

// OpenMemory opens gocloud's memory store for records, with the lock that it needs: see
// [relay.Locked].
func OpenMemory() (*docstore.Collection, error) {
	inner, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		return nil, fmt.Errorf("open store in memory: %w", err)
	}
	return relay.Locked(inner), nil
}

// SQLOptions returns the layout of the records in SQLite and PostgreSQL.
func SQLOptions() *sqldocstore.Options {
	o := &sqldocstore.Options{Table: "piecework", IDField: store.IDField, RevisionField: store.RevisionField, Indexes: store.Indexes()}
	for _, name := range store.Columns() {
		column := sqldocstore.Column{Name: name, Type: sqldocstore.Text}
		if name == "data" {
			column.Type = sqldocstore.Bytes
		}
		o.Columns = append(o.Columns, column)
	}
	return o
}

// openBlobs opens the bucket, and returns its directory if it is one. With create it makes a
// missing directory.
func openBlobs(ctx context.Context, c Config, create bool) (bucket *blob.Bucket, dir string, err error) {
	address := c.Blobs
	if address == "" {
		return openFolder(filepath.Join(c.Dir, blobsDir), create)
	}
	scheme, _, _ := strings.Cut(address, ":")
	switch scheme {
	case memblob.Scheme:
		return memblob.OpenBucket(nil), "", nil
	case fileblob.Scheme:
		u, err := url.Parse(address)
		if err != nil || u.Host != "" || u.Path == "" || u.RawQuery != "" {
			return nil, "", fmt.Errorf("%w: blobs %q: want file:///path/to/folder, without parameters", functions.ErrConfig, functions.RedactURL(address))
		}
		return openFolder(folder(u), create)
	}
	if !blob.DefaultURLMux().ValidBucketScheme(scheme) {
		return nil, "", fmt.Errorf("%w: blobs %q: use file:///path/to/folder or mem://; another service needs a program "+
			"that imports its driver", functions.ErrConfig, functions.RedactURL(address))
	}
	if bucket, err = blob.OpenBucket(ctx, address); err != nil {
		return nil, "", fmt.Errorf("open blobs %s: %w", functions.RedactURL(address), err)
	}
	return bucket, "", nil
}

// openFolder opens a directory as a bucket with the options that blobout needs.
func openFolder(dir string, create bool) (*blob.Bucket, string, error) {
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{CreateDir: create, NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		return nil, "", dirError(dir, err)
	}
	return b, dir, nil
}

// folder returns the directory of a file URL. On Windows, /C:/x is C:\x.
func folder(u *url.URL) string {
	path := u.Path
	if runtime.GOOS == "windows" {
		path = strings.TrimPrefix(path, "/")
	}
	return filepath.FromSlash(path)
}

// urlPath returns an absolute file name as the path of a URL.
func urlPath(name string) string {
	name = filepath.ToSlash(name)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return (&url.URL{Path: name}).EscapedPath()
}

// blobStore returns the store of the outputs in a bucket.
func blobStore(bucket *blob.Bucket, dir string) *blobout.Store {
	return blobout.New(bucket, &blobout.Options{Dir: dir})
}
