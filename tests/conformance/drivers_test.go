package conformance_test

import (
	"path/filepath"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/tests/conformance"
)

// The drivers that need no server, opened by URL as a deployment opens them. What they promise was tested above; here it
// is that their settings keep it.
func TestStoresByURL(t *testing.T) {
	set := drivers.New(mem.Register, sql.Register)
	t.Run("mem", func(t *testing.T) {
		conformance.Store(t, conformance.StoreHarness{
			Records: 1000,
			New: func(t *testing.T) conformance.OpenStore {
				coll := conformance.StoreOf(set, "mem://")(t) // each that is opened is a new one
				return func(*testing.T) *docstore.Collection { return coll }
			},
		})
	})
	t.Run("sqlite", func(t *testing.T) {
		conformance.Store(t, conformance.StoreHarness{
			Records: 2000, Indexed: searchesAnIndex,
			New: func(t *testing.T) conformance.OpenStore {
				file := filepath.ToSlash(filepath.Join(t.TempDir(), "jobs.db"))
				return conformance.NewStore(t, set, "sqlite://"+file+"?synchronous=off")
			},
		})
	})
}

func TestBucketsByURL(t *testing.T) {
	set := drivers.New(mem.Register, files.Register)
	t.Run("mem", func(t *testing.T) {
		conformance.Blob(t, conformance.BlobHarness{
			New: func(t *testing.T) *blob.Bucket { return conformance.BucketOf(t, set, "mem://") },
		})
	})
	t.Run("file", func(t *testing.T) {
		conformance.Blob(t, conformance.BlobHarness{
			Overwrites: true, NoTypes: true,
			New: func(t *testing.T) *blob.Bucket {
				return conformance.BucketOf(t, set, "file://"+filepath.ToSlash(t.TempDir()))
			},
		})
	})
}
