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

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
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

// SQLOptions is how the records are laid out in SQLite and PostgreSQL.
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

// openBlobs opens the bucket, and says in which directory it is, if it is one. A directory that is missing is made on
// demand.
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

// openFolder opens a directory as a bucket, as blobout wants it.
func openFolder(dir string, create bool) (*blob.Bucket, string, error) {
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{CreateDir: create, NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		return nil, "", dirError(dir, err)
	}
	return b, dir, nil
}

// folder is the directory of a file URL; on Windows, /C:/x is C:\x.
func folder(u *url.URL) string {
	path := u.Path
	if runtime.GOOS == "windows" {
		path = strings.TrimPrefix(path, "/")
	}
	return filepath.FromSlash(path)
}

// urlPath is an absolute file name in the form that a URL has it.
func urlPath(name string) string {
	name = filepath.ToSlash(name)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return (&url.URL{Path: name}).EscapedPath()
}

// blobStore is the outputs' side of a bucket.
func blobStore(bucket *blob.Bucket, dir string) *blobout.Store {
	return blobout.New(bucket, &blobout.Options{Dir: dir})
}
