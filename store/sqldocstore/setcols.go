package sqldocstore

import (
	"fmt"
	"math/bits"
	"strings"
	"sync"
)

// colSet is a set of declared columns, by index. Columns from the 64th on are in no set.
type colSet uint64

// each calls f with the index of each column, in order.
func (s colSet) each(f func(i int)) {
	for ; s != 0; s &= s - 1 {
		f(bits.TrailingZeros64(uint64(s)))
	}
}

// setColumns turns an Update that puts values into columns into one that need not read the row
// first: its one statement names just these columns, so that the database leaves the indexes on the
// others alone. Updates of other fields, increments, and Updates from any revision stay as they
// are.
func (w *write) setColumns(l *layout) {
	var set colSet
	for _, m := range w.mods {
		i, ok := l.colIndex[m.path[0]]
		if !ok || m.inc || i >= 64 {
			return
		}
		set |= 1 << i
	}
	if set == 0 {
		return
	}
	w.row.cols = make([]any, len(l.Columns))
	for _, m := range w.mods {
		w.row.cols[l.colIndex[m.path[0]]] = m.value
	}
	w.set, w.mods = set, nil
}

// setSQL makes and keeps the statements that set columns: programs use few different sets. It is
// safe for concurrent use.
type setSQL[S any] struct {
	mu   sync.Mutex
	made map[colSet]S
	make func(colSet) S
}

func newSetSQL[S any](f func(colSet) S) *setSQL[S] {
	return &setSQL[S]{made: map[colSet]S{}, make: f}
}

func (q *setSQL[S]) get(set colSet) S {
	q.mu.Lock()
	defer q.mu.Unlock()
	st, ok := q.made[set]
	if !ok {
		st = q.make(set)
		q.made[set] = st
	}
	return st
}

// setOneRow is the statement that sets columns: rev, the columns, id, old revision.
func (l *layout) setOneRow(set colSet) string {
	var b strings.Builder
	fmt.Fprintf(&b, `UPDATE %s SET "rev" = ?`, l.table())
	set.each(func(i int) { fmt.Fprintf(&b, ", %s = ?", quote(l.Columns[i].Name)) })
	b.WriteString(` WHERE "id" = ? AND "rev" = ?`)
	return b.String()
}

// postgresSet is the same for many rows.
func (l *layout) postgresSet(set colSet) *pgStatement {
	var params []pgParam
	set.each(func(i int) { params = append(params, pgParam{l.Columns[i].Name, l.Columns[i].Type, i}) })
	n := len(params)
	params = append(params, pgParam{"rev", Int, paramRev}, pgParam{"id", Text, paramID}, pgParam{"", Int, paramOld})
	var assign []string
	for i, p := range params[:n+1] {
		assign = append(assign, fmt.Sprintf("%s = u.c%d", quote(p.name), i))
	}
	sql := fmt.Sprintf(`UPDATE %s t SET %s FROM %s WHERE t."id" = u.c%d AND t."rev" = u.c%d RETURNING t."id"`,
		l.table(), strings.Join(assign, ", "), unnest(params), n+1, n+2)
	return newPgStatement(sql, params)
}
