package sqldocstore

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gocloud.dev/docstore"
)

// Options says how documents are laid out in the table. The zero value is a table
// "documents" keyed by the field "id", everything else in one encoded column.
type Options struct {
	// Table is the table's name. Default "documents".
	Table string

	// Schema is the PostgreSQL schema of the table, which must exist. Default: the first of
	// the search_path. SQLite has none.
	Schema string

	// IDField is the string field that holds a document's key. Default "id".
	// A Create of a document without a key gives it a random one.
	IDField string

	// IDFunc, if set, takes the place of IDField: it computes the key, a string,
	// from the document (a struct pointer or a map[string]any); "" is no key.
	IDFunc func(docstore.Document) any

	// RevisionField is the field for revisions. Default
	// docstore.DefaultRevisionField.
	RevisionField string

	// Columns are the top-level fields with a column of their own. Queries filter
	// and sort by them in the database, and they cost no encoding.
	Columns []Column

	// Indexes are lists of columns to index. An index leaves out the documents that
	// lack its first field, so a field that most documents lack costs them nothing.
	Indexes [][]string

	// NoCreate leaves creating the table and its indexes to others; see Schema.
	NoCreate bool

	// Synchronous is SQLite's setting: "full" (the default: a write that returned
	// survives a power cut), "normal" (the last writes may be lost in a power cut,
	// none if only the process dies) or "off".
	Synchronous string

	// BusyTimeout is how long to wait for another process's lock on a SQLite file.
	// Default 10 s.
	BusyTimeout time.Duration

	// WriteTimeout is how long one group of writes to PostgreSQL, or of Gets, may take
	// before its connection is given up. Default 30 s.
	WriteTimeout time.Duration

	// Postgres is NewPostgres(postgres.Connect), with the package below this one. Without it only
	// SQLite can be opened by URL, and what PostgreSQL needs is not linked.
	Postgres *PostgresDriver

	// MaxBatch is the most writes in one transaction. Default 500.
	MaxBatch int
}

// ColumnType is the type of a declared column.
type ColumnType string

// The column types: a string field, a []byte field, an integer field.
const (
	Text  ColumnType = "text"
	Bytes ColumnType = "bytes"
	Int   ColumnType = "int"
)

// Column is a top-level field that is stored in a column of its own. A document may
// lack the field: its column is then NULL, as it is for a nil value.
type Column struct {
	Name string
	Type ColumnType
}

// layout is checked Options with the defaults filled in.
type layout struct {
	Options
	colIndex map[string]int // by field name, into Columns
	all      *selection

	selections sync.Map // by field paths
	selected   atomic.Int64
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,54}$`)

func newLayout(o *Options) (*layout, error) {
	l := &layout{colIndex: map[string]int{}}
	if o != nil {
		l.Options = *o
	}
	setDefault(&l.Table, "documents")
	setDefault(&l.RevisionField, docstore.DefaultRevisionField)
	setDefault(&l.Synchronous, "full")
	setDefault(&l.BusyTimeout, 10*time.Second)
	setDefault(&l.WriteTimeout, 30*time.Second)
	setDefault(&l.MaxBatch, 500)
	if l.IDFunc == nil {
		setDefault(&l.IDField, "id")
	} else {
		l.IDField = ""
	}
	if !identifier.MatchString(l.Table) {
		return nil, invalidf("table %q: not a plain identifier", l.Table)
	}
	if l.Schema != "" && !identifier.MatchString(l.Schema) {
		return nil, invalidf("schema %q: not a plain identifier", l.Schema)
	}
	switch l.Synchronous {
	case "full", "normal", "off":
	default:
		return nil, invalidf("synchronous %q: want full, normal or off", l.Synchronous)
	}
	if l.MaxBatch < 1 || l.BusyTimeout < 0 || l.WriteTimeout < 0 {
		return nil, invalidf("max_batch, busy_timeout and write_timeout must be positive")
	}
	if err := l.setColumns(); err != nil {
		return nil, err
	}
	l.all = l.selectAll()
	return l, l.checkIndexes()
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// table is the table's name in a statement.
func (l *layout) table() string {
	if l.Schema == "" {
		return quote(l.Table)
	}
	return quote(l.Schema) + "." + quote(l.Table)
}

// setColumns checks the columns and puts the short ones first, so that reading them
// from a row does not touch the pages that a long []byte overflows to.
func (l *layout) setColumns() error {
	taken := map[string]string{"id": "the key", "rev": "the revision", "doc": "the other fields"}
	var short, long []Column
	for _, c := range l.Columns {
		if !identifier.MatchString(c.Name) {
			return invalidf("column %q: not a plain identifier", c.Name)
		}
		lower := strings.ToLower(c.Name)
		if c.Name == l.IDField || c.Name == l.RevisionField {
			return invalidf("column %q: the key and the revision have columns already", c.Name)
		}
		if by, ok := taken[lower]; ok {
			return invalidf("column %q: the name is taken by %s", c.Name, by)
		}
		taken[lower] = fmt.Sprintf("field %q", c.Name)
		switch c.Type {
		case Text, Int:
			short = append(short, c)
		case Bytes:
			long = append(long, c)
		default:
			return invalidf("column %q: type %q: want text, bytes or int", c.Name, c.Type)
		}
	}
	l.Columns = slices.Concat(short, long)
	for i, c := range l.Columns {
		l.colIndex[c.Name] = i
	}
	return nil
}

func (l *layout) checkIndexes() error {
	for _, index := range l.Indexes {
		if len(index) == 0 {
			return invalidf("index without columns")
		}
		for _, name := range index {
			if _, ok := l.colIndex[name]; !ok {
				return invalidf("index %s: no column %q is declared", strings.Join(index, ","), name)
			}
		}
	}
	return nil
}
