package sqldocstore

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/piecework/piecework/tests/postgres"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/docstore/drivertest"

	client "github.com/piecework/piecework/store/sqldocstore/postgres"
)

// harness runs gocloud's conformance tests against one database.
type harness struct {
	t    *testing.T
	open func(t *testing.T, o Options) driver.Collection
}

func (h *harness) MakeCollection(_ context.Context, kind drivertest.CollectionKind) (driver.Collection, error) {
	o := Options{IDField: drivertest.KeyField}
	switch kind {
	case drivertest.TwoKey:
		o = Options{IDFunc: drivertest.HighScoreKey}
	case drivertest.AltRev:
		o.RevisionField = drivertest.AlternateRevisionField
	}
	return h.open(h.t, o), nil
}

func (*harness) BeforeDoTypes() []any               { return nil }
func (*harness) BeforeQueryTypes() []any            { return nil }
func (*harness) RevisionsEqual(rev1, rev2 any) bool { return rev1 == rev2 }
func (*harness) Close()                             {}
func (*harness) AtomicWritesKind() drivertest.AtomicWritesSupportKind {
	return drivertest.MultiplePartitions
}

// cborCodec runs the codec tests through the bytes that are stored.
type cborCodec struct{}

func (cborCodec) UnsupportedTypes() []drivertest.UnsupportedType { return nil }
func (cborCodec) NativeEncode(v any) (any, error)                { return cborCodec{}.DocstoreEncode(v) }
func (cborCodec) NativeDecode(v, dest any) error                 { return cborCodec{}.DocstoreDecode(v, dest) }

func (cborCodec) DocstoreEncode(v any) (any, error) {
	doc, err := driver.NewDocument(v)
	if err != nil {
		return nil, err
	}
	l, err := newLayout(nil)
	if err != nil {
		return nil, err
	}
	r, err := l.encodeRow(doc)
	return r.doc, err
}

func (cborCodec) DocstoreDecode(v, dest any) error {
	doc, err := driver.NewDocument(dest)
	if err != nil {
		return err
	}
	m, err := parseDoc(v.([]byte))
	if err != nil {
		return err
	}
	return doc.Decode(valueDecoder{m})
}

func runConformance(t *testing.T, open func(t *testing.T, o Options) driver.Collection) {
	drivertest.RunConformanceTests(t, func(_ context.Context, t *testing.T) (drivertest.Harness, error) {
		return &harness{t, open}, nil
	}, cborCodec{}, nil)
}

func mustOpen(t testing.TB, rawURL string, o Options) *collection {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	o.Postgres = NewPostgres(client.Connect)
	c, err := openURL(t.Context(), u, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConformanceSQLiteFile(t *testing.T) {
	runConformance(t, func(t *testing.T, o Options) driver.Collection {
		return mustOpen(t, "sqlite://"+filepath.Join(t.TempDir(), "a.db"), o)
	})
}

func TestConformanceSQLiteMemory(t *testing.T) {
	runConformance(t, func(t *testing.T, o Options) driver.Collection {
		return mustOpen(t, "sqlite::memory:", o)
	})
}

var (
	testColumns = []Column{{"Game", Text}, {"Player", Text}, {"Score", Int}, {"s", Text}, {"St", Text}, {"I", Int}}
	testIndexes = [][]string{{"Game", "Player"}}
)

// The same with the fields that the tests use in columns of their own.
func TestConformanceSQLiteColumns(t *testing.T) {
	runConformance(t, func(t *testing.T, o Options) driver.Collection {
		o.Columns, o.Indexes = testColumns, testIndexes
		return mustOpen(t, "sqlite://"+filepath.Join(t.TempDir(), "a.db"), o)
	})
}

func TestConformancePostgres(t *testing.T) {
	runConformancePostgres(t, func(o *Options) {})
}

func TestConformancePostgresColumns(t *testing.T) {
	runConformancePostgres(t, func(o *Options) { o.Columns, o.Indexes = testColumns, testIndexes })
}

func runConformancePostgres(t *testing.T, set func(*Options)) {
	server, tables := postgres.Start(t), 0
	runConformance(t, func(t *testing.T, o Options) driver.Collection {
		tables++ // a new table is quicker to make than a new database
		o.Table = fmt.Sprintf("t%d", tables)
		set(&o)
		return mustOpen(t, server, o)
	})
}
