package sqldocstore

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// postgresSQL is the statements that write many rows: their parameters are arrays, one
// element a row. Each returns the keys of the rows that it wrote.
type postgresSQL struct {
	insert, upsert string // id, rev, the columns, doc
	update         string // id, rev, the columns, doc, old revision
	remove         string // id, old revision
	existing       string // id; reads
}

func newPostgresSQL(l *layout) postgresSQL {
	names, types := []string{"id", "rev"}, []ColumnType{Text, Int}
	for _, c := range l.Columns {
		names, types = append(names, c.Name), append(types, c.Type)
	}
	names, types = append(names, "doc"), append(types, Bytes)
	var set, excluded []string
	for i, n := range names[1:] {
		set = append(set, fmt.Sprintf("%s = u.c%d", quote(n), i+1))
		excluded = append(excluded, quote(n)+" = excluded."+quote(n))
	}
	table := quote(l.Table)
	insert := "INSERT INTO " + table + " (" + quoteAll(names) + ") SELECT * FROM " + unnest(types) +
		` ON CONFLICT ("id") DO `
	old := fmt.Sprintf("u.c%d", len(types))
	return postgresSQL{
		insert: insert + `NOTHING RETURNING "id"`,
		upsert: insert + "UPDATE SET " + strings.Join(excluded, ", ") + ` RETURNING "id"`,
		update: "UPDATE " + table + " t SET " + strings.Join(set, ", ") + " FROM " + unnest(append(types, Int)) +
			` WHERE t."id" = u.c0 AND (` + old + ` = 0 OR t."rev" = ` + old + `) RETURNING t."id"`,
		remove: "DELETE FROM " + table + " t USING " + unnest([]ColumnType{Text, Int}) +
			` WHERE t."id" = u.c0 AND (u.c1 = 0 OR t."rev" = u.c1) RETURNING t."id"`,
		existing: `SELECT "id" FROM ` + table + ` WHERE "id" = ANY($1)`,
	}
}

// unnest makes rows u(c0, c1, ...) of array parameters.
func unnest(types []ColumnType) string {
	var args, cols []string
	for i, t := range types {
		sql := map[ColumnType]string{Text: "text", Bytes: "bytea", Int: "int8"}[t]
		args = append(args, fmt.Sprintf("$%d::%s[]", i+1, sql))
		cols = append(cols, fmt.Sprintf("c%d", i))
	}
	return "unnest(" + strings.Join(args, ", ") + ") AS u(" + strings.Join(cols, ", ") + ")"
}

// statement is the SQL and the parameters that write a group.
func (db *postgresDB) statement(g []pgWrite) (sql string, args [][]byte) {
	ids := appendArrayHead(nil, Text, len(g))
	revs := appendArrayHead(nil, Int, len(g))
	olds := appendArrayHead(nil, Int, len(g))
	for i := range g {
		ids = append(binary.BigEndian.AppendUint32(ids, uint32(len(g[i].id))), g[i].id...)
		revs = appendInt(revs, g[i].rev)
		olds = appendInt(olds, g[i].expected)
	}
	if phase(g[0].kind) == phaseRemove {
		return db.sql.remove, [][]byte{ids, olds}
	}
	args = append(args, ids, revs)
	for c := range db.Columns {
		b := appendArrayHead(nil, db.Columns[c].Type, len(g))
		for i := range g {
			b = appendElem(b, g[i].row.cols[c])
		}
		args = append(args, b)
	}
	docs := appendArrayHead(nil, Bytes, len(g))
	for i := range g {
		if g[i].row.doc == nil {
			docs = appendElem(docs, nil)
		} else {
			docs = append(binary.BigEndian.AppendUint32(docs, uint32(len(g[i].row.doc))), g[i].row.doc...)
		}
	}
	args = append(args, docs)
	switch phase(g[0].kind) {
	case phaseInsert:
		return db.sql.insert, args
	case phaseUpsert:
		return db.sql.upsert, args
	default:
		return db.sql.update, append(args, olds)
	}
}
