package sqlpubsub

import (
	"fmt"
	"strings"
)

// Dialect is the SQL of a database.
type Dialect string

// The dialects.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// dialect is how the statements of a table are written.
type dialect struct {
	name       Dialect
	statements func(t *table)
}

var (
	postgresDialect = dialect{Postgres, postgresStatements}
	sqliteDialect   = dialect{SQLite, sqliteStatements}
)

// table is one of the two tables with its statements.
type table struct {
	name      string // quoted, with its schema
	transient bool
	hide      int64 // for how many microseconds a received message is hidden; 0: it is removed

	insert, take, remove, giveBack, next string
}

func newTable(d dialect, o Options, transient bool) *table {
	t := &table{name: tableName(o, transient), transient: transient}
	if !transient {
		t.hide = o.Visibility.Microseconds()
	}
	d.statements(t)
	return t
}

func tableName(o Options, transient bool) string {
	name := quote(o.Prefix + "_messages")
	if transient {
		name = quote(o.Prefix + "_hints")
	}
	if o.Schema != "" {
		name = quote(o.Schema) + "." + name
	}
	return name
}

func quote(name string) string { return `"` + name + `"` }

// Schema returns the statements that create the tables, for Options.NoCreate. They change nothing
// that exists.
func Schema(d Dialect, opts *Options) []string {
	o, err := opts.withDefaults()
	if err != nil {
		return nil
	}
	var stmts []string
	for _, transient := range []bool{false, true} {
		kind, blob, tail := "TABLE", "BLOB", " WITHOUT ROWID"
		if d == Postgres {
			blob, tail = "bytea", ""
			if transient {
				kind = "UNLOGGED TABLE"
			}
		}
		stmts = append(stmts, fmt.Sprintf(`CREATE %s IF NOT EXISTS %s ("queue" text NOT NULL, "due" bigint NOT NULL, "id" bigint NOT NULL, `+
			`"tries" bigint NOT NULL, "body" %s NOT NULL, "meta" %s, PRIMARY KEY ("queue", "due", "id"))%s`,
			kind, tableName(o, transient), blob, blob, tail))
	}
	return stmts
}

// fill puts the names into a statement: T is the table, NOW the time.
func fill(text, table, now string) string {
	return strings.NewReplacer("TABLE", table, "NOW", now).Replace(text)
}
