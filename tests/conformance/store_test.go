package conformance_test

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/sqldocstore"
	"github.com/piecework/piecework/tests/conformance"
	"github.com/piecework/piecework/tests/postgres"
)

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	conformance.Store(t, conformance.StoreHarness{
		Records: 2000, // it scans everything for each query
		TTL:     store.TTLTime,
		New: func(t *testing.T) conformance.OpenStore {
			coll, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = coll.Close() })
			return func(*testing.T) *docstore.Collection { return coll }
		},
	})
}

func TestSQLiteInMemory(t *testing.T) {
	t.Parallel()
	conformance.Store(t, conformance.StoreHarness{
		Indexed: searchesAnIndex,
		TTL:     store.TTLSeconds, // which SQLite does not act on; a real store's is to be tested by its own tests
		New: func(t *testing.T) conformance.OpenStore {
			coll := openSQL(t, "sqlite::memory:") // a database in memory is private to its collection
			return func(*testing.T) *docstore.Collection { return coll }
		},
	})
}

func TestSQLiteFile(t *testing.T) {
	t.Parallel()
	conformance.Store(t, conformance.StoreHarness{
		Indexed: searchesAnIndex,
		New: func(t *testing.T) conformance.OpenStore {
			// What the disk has to promise is sqldocstore's own test.
			file := "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "jobs.db")) + "?synchronous=off"
			return func(t *testing.T) *docstore.Collection { return openSQL(t, file) }
		},
	})
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	server, err := url.Parse(postgres.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	conformance.Store(t, conformance.StoreHarness{
		Indexed: searchesAnIndex,
		New: func(t *testing.T) conformance.OpenStore {
			tables++
			u, q := *server, server.Query()
			q.Set("pool_max_conns", "10")
			q.Set("table", fmt.Sprint("jobs_", tables))
			u.RawQuery = q.Encode()
			return func(t *testing.T) *docstore.Collection { return openSQL(t, u.String()) }
		},
	})
}

// openSQL opens a database as the store's fields ask for.
func openSQL(t *testing.T, rawURL string) *docstore.Collection {
	t.Helper()
	coll, err := sqldocstore.Open(t.Context(), rawURL, sql.Options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = coll.Close() })
	return coll
}

// searchesAnIndex reads the plans of both databases.
func searchesAnIndex(plan string) bool {
	for _, bad := range []string{"Sort", "TEMP B-TREE", "SCAN", "Seq Scan", "Bitmap", "in Go"} {
		if strings.Contains(plan, bad) {
			return false
		}
	}
	return strings.Contains(plan, "USING INDEX") || strings.Contains(plan, "USING COVERING INDEX") ||
		strings.Contains(plan, "Index Scan") || strings.Contains(plan, "Index Only Scan")
}
