package sqldocstore

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// Dialect is the kind of database.
type Dialect string

// The databases that this package speaks.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Schema is the SQL that creates the table and the indexes which Open with the same
// options expects: idempotent statements, for those who provision a database by other
// means and open with NoCreate.
func Schema(dialect Dialect, opts *Options) (string, error) {
	l, err := newLayout(opts)
	if err != nil {
		return "", err
	}
	if dialect != SQLite && dialect != Postgres {
		return "", invalidf("schema: dialect %q: want %s or %s", dialect, SQLite, Postgres)
	}
	return strings.Join(l.schema(dialect), ";\n\n") + ";\n", nil
}

func (l *layout) schema(d Dialect) []string {
	var b strings.Builder
	b.WriteString("CREATE TABLE IF NOT EXISTS " + l.table() + " (\n")
	b.WriteString("  " + quote("id") + " " + sqlType(d, Text) + " NOT NULL PRIMARY KEY,\n")
	b.WriteString("  " + quote("rev") + " " + sqlType(d, Int) + " NOT NULL,\n")
	for _, c := range l.Columns {
		b.WriteString("  " + quote(c.Name) + " " + sqlType(d, c.Type) + ",\n")
	}
	b.WriteString("  " + quote("doc") + " " + sqlType(d, Bytes) + "\n)")
	if d == Postgres {
		// Half of each page is left for updates: one that moves no index entry and
		// stays in its page needs no index write (HOT).
		b.WriteString(" WITH (fillfactor = 50)")
	}
	stmts := []string{b.String()}
	for _, index := range l.Indexes {
		stmts = append(stmts, l.indexSQL(index))
	}
	return stmts
}

func (l *layout) indexSQL(index []string) string {
	return "CREATE INDEX IF NOT EXISTS " + quote(l.indexName(index)) + " ON " + l.table() +
		" (" + quoteAll(index) + ") WHERE " + quote(index[0]) + " IS NOT NULL"
}

// indexName is the table and the columns, or a hash of them where PostgreSQL would
// cut the name short, which could make two names one.
func (l *layout) indexName(index []string) string {
	name := l.Table + "_" + strings.Join(index, "_")
	if len(name) <= 63 {
		return name
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	return l.Table[:min(len(l.Table), 40)] + "_" + strconv.FormatUint(h.Sum64(), 36)
}

// addColumnSQL adds a column that was declared after the table was created.
func (l *layout) addColumnSQL(d Dialect, c Column) string {
	return "ALTER TABLE " + l.table() + " ADD COLUMN " + quote(c.Name) + " " + sqlType(d, c.Type)
}

func sqlType(d Dialect, t ColumnType) string {
	switch {
	case d == SQLite && t == Text:
		return "TEXT"
	case d == SQLite && t == Bytes:
		return "BLOB"
	case d == SQLite:
		return "INTEGER"
	case t == Text:
		return `TEXT COLLATE "C"` // bytewise, as docstore's other drivers compare
	case t == Bytes:
		return "BYTEA"
	default:
		return "BIGINT"
	}
}

func quote(name string) string { return `"` + name + `"` }

func quoteAll(names []string) string {
	return `"` + strings.Join(names, `", "`) + `"`
}
