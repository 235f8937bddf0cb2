package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/tests/conformance"
)

func TestBlobsInMemory(t *testing.T) {
	t.Parallel()
	conformance.Blob(t, conformance.BlobHarness{
		New: func(t *testing.T) *blob.Bucket { return closed(t, memblob.OpenBucket(nil)) },
	})
}

// As buckets of Azure are written to.
func TestBlobsByUpload(t *testing.T) {
	t.Parallel()
	conformance.Blob(t, conformance.BlobHarness{
		New:     func(t *testing.T) *blob.Bucket { return closed(t, memblob.OpenBucket(nil)) },
		Options: func(*testing.T, *blob.Bucket) *blobout.Options { return &blobout.Options{Upload: true} },
	})
}

func closed(t *testing.T, b *blob.Bucket) *blob.Bucket {
	t.Helper()
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// openFiles opens a new directory.
func openFiles(t *testing.T, opts *fileblob.Options, dirs map[*blob.Bucket]string) *blob.Bucket {
	t.Helper()
	opts.NoTempDir = true
	dir := t.TempDir()
	b, err := fileblob.OpenBucket(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	dirs[b] = dir
	return closed(t, b)
}

// Two writers of the same new file both succeed: gocloud's check and its rename are two steps.
func TestFiles(t *testing.T) {
	t.Parallel()
	dirs := map[*blob.Bucket]string{}
	conformance.Blob(t, conformance.BlobHarness{
		Overwrites: true, NoTypes: true,
		New: func(t *testing.T) *blob.Bucket {
			return openFiles(t, &fileblob.Options{Metadata: fileblob.MetadataDontWrite}, dirs)
		},
		Options: func(_ *testing.T, b *blob.Bucket) *blobout.Options {
			return &blobout.Options{Dir: dirs[b], NoSync: true}
		},
	})
}

// With a signer, and a server that checks the signatures.
func TestFilesServed(t *testing.T) {
	t.Parallel()
	dirs := map[*blob.Bucket]string{}
	conformance.Blob(t, conformance.BlobHarness{
		Overwrites: true, Signs: true,
		New: func(t *testing.T) *blob.Bucket {
			var bucket *blob.Bucket
			var signer *fileblob.URLSignerHMAC
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				key, err := signer.KeyFromURL(r.Context(), r.URL)
				if err != nil {
					http.Error(w, err.Error(), http.StatusForbidden)
					return
				}
				data, err := bucket.ReadAll(r.Context(), key)
				if err != nil {
					http.Error(w, err.Error(), http.StatusNotFound)
					return
				}
				_, _ = w.Write(data)
			}))
			t.Cleanup(server.Close)
			base, err := url.Parse(server.URL + "/blobs")
			if err != nil {
				t.Fatal(err)
			}
			signer = fileblob.NewURLSignerHMAC(base, []byte("a secret of this test"))
			bucket = openFiles(t, &fileblob.Options{URLSigner: signer}, dirs)
			return bucket
		},
	})
}
