package sqldocstore

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// postgresSQL is the statements that write many rows: their parameters are arrays, one
// element a row. Each returns the keys of the rows that it wrote.
type postgresSQL struct {
	insert, upsert, update, remove *pgStatement
	existing                       string
	set                            *setSQL[*pgStatement]
}

// pgStatement is a statement and what its parameters are.
type pgStatement struct {
	sql    string
	params []pgParam
	oids   []uint32 // their types
}

func newPgStatement(sql string, params []pgParam) *pgStatement {
	st := &pgStatement{sql: sql, params: params}
	for _, p := range params {
		st.oids = append(st.oids, arrayOID[p.typ])
	}
	return st
}

// pgParam is one array parameter: a column, or the revision that a row must have.
type pgParam struct {
	name string
	typ  ColumnType
	col  int // of the declared columns, or one of the below
}

const (
	paramID = -1 - iota
	paramRev
	paramDoc
	paramOld
)

// newPostgresSQL writes the statements. The long parameters come first: pgx then gets
// the buffer that it puts them together in about right at once.
func newPostgresSQL(l *layout) postgresSQL {
	var all []pgParam
	for i, c := range slices.Backward(l.Columns) {
		all = append(all, pgParam{c.Name, c.Type, i})
	}
	id, old := pgParam{"id", Text, paramID}, pgParam{"", Int, paramOld}
	all = append(all, pgParam{"doc", Bytes, paramDoc}, id, pgParam{"rev", Int, paramRev})
	var names, set, excluded []string
	for i, p := range all {
		names = append(names, p.name)
		if p != id {
			set = append(set, fmt.Sprintf("%s = u.c%d", quote(p.name), i))
			excluded = append(excluded, quote(p.name)+" = excluded."+quote(p.name))
		}
	}
	table := l.table()
	insert := "INSERT INTO " + table + " (" + quoteAll(names) + ") SELECT " + unnested(len(all)) + " FROM " + unnest(all) +
		` ON CONFLICT ("id") DO `
	found := func(params []pgParam) string {
		key, rev := fmt.Sprintf("u.c%d", slices.Index(params, id)), fmt.Sprintf("u.c%d", slices.Index(params, old))
		return ` WHERE t."id" = ` + key + ` AND (` + rev + ` = 0 OR t."rev" = ` + rev + `) RETURNING t."id"`
	}
	update, remove := append(slices.Clone(all), old), []pgParam{id, old}
	return postgresSQL{
		insert: newPgStatement(insert+`NOTHING RETURNING "id"`, all),
		upsert: newPgStatement(insert+"UPDATE SET "+strings.Join(excluded, ", ")+` RETURNING "id"`, all),
		update: newPgStatement("UPDATE "+table+" t SET "+strings.Join(set, ", ")+
			" FROM "+unnest(update)+found(update), update),
		remove:   newPgStatement("DELETE FROM "+table+" t USING "+unnest(remove)+found(remove), remove),
		existing: `SELECT "id" FROM ` + table + ` WHERE "id" = ANY($1)`,
		set:      newSetSQL(l.postgresSet),
	}
}

// unnest makes rows u(c0, c1, ...) of array parameters.
func unnest(params []pgParam) string {
	var args []string
	for i, p := range params {
		sql := map[ColumnType]string{Text: "text", Bytes: "bytea", Int: "int8"}[p.typ]
		args = append(args, fmt.Sprintf("$%d::%s[]", i+1, sql))
	}
	return "unnest(" + strings.Join(args, ", ") + ") AS u(" + unnested(len(params)) + ")"
}

// unnested names the columns of such rows.
func unnested(n int) string {
	cols := make([]string, n)
	for i := range cols {
		cols[i] = fmt.Sprintf("c%d", i)
	}
	return strings.Join(cols, ", ")
}

// statement is the statement for a group of writes.
func (q *postgresSQL) statement(g []pgWrite) *pgStatement {
	switch g[0].phase() {
	case phaseInsert:
		return q.insert
	case phaseUpsert:
		return q.upsert
	case phaseRemove:
		return q.remove
	case phaseUpdate:
		return q.update
	default:
		return q.set.get(g[0].set)
	}
}

// appendTo appends the parameter for a group of writes to b.
func (p *pgParam) appendTo(b []byte, g []pgWrite) []byte {
	b = appendArrayHead(b, p.typ, len(g))
	for i := range g {
		switch w := &g[i]; p.col {
		case paramID:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(w.id))), w.id...)
		case paramRev:
			b = appendInt(b, w.rev)
		case paramOld:
			b = appendInt(b, w.expected)
		case paramDoc:
			b = appendBytes(b, w.row.doc)
		default:
			b = appendElem(b, w.row.cols[p.col])
		}
	}
	return b
}
