package sqldocstore

import (
	"database/sql/driver"
	"strconv"
	"strings"

	docdriver "gocloud.dev/docstore/driver"
)

// rowConn runs statements on one connection, or in one transaction.
type rowConn interface {
	// exec runs a statement and reports how many rows it changed.
	exec(query string, args ...any) (int64, error)
	// each calls f with every row; the slice is reused, the values are not.
	each(f func([]driver.Value) error, query string, args ...any) error
}

// rowWriter writes rows one by one. It is used by one goroutine at a time.
type rowWriter struct {
	*layout

	conn rowConn
	sql  writeSQL
	args []any // reused by every write
}

// writeSQL is the statements that write one row. The arguments of insert, upsert and
// update start with the row: rev, the columns, doc.
type writeSQL struct {
	insert, upsert    string // ... id
	update, updateAny string // ... id [, old revision]
	remove, removeAny string // id [, old revision]
	exists, current   string // id
	set               *setSQL[string]
}

func newWriteSQL(l *layout, d Dialect) writeSQL {
	names := []string{"rev"}
	for _, c := range l.Columns {
		names = append(names, c.Name)
	}
	names = append(names, "doc")
	var set, excluded []string
	for _, n := range names {
		set = append(set, quote(n)+" = ?")
		excluded = append(excluded, quote(n)+" = excluded."+quote(n))
	}
	table := l.table()
	insert := "INSERT INTO " + table + " (" + quoteAll(names) + `, "id") VALUES (` +
		strings.Repeat("?, ", len(names)) + `?) ON CONFLICT ("id") DO `
	update := "UPDATE " + table + " SET " + strings.Join(set, ", ") + ` WHERE "id" = ?`
	remove := "DELETE FROM " + table + ` WHERE "id" = ?`
	return writeSQL{
		insert:    d.placed(insert + "NOTHING"),
		upsert:    d.placed(insert + "UPDATE SET " + strings.Join(excluded, ", ")),
		update:    d.placed(update + ` AND "rev" = ?`),
		updateAny: d.placed(update),
		remove:    d.placed(remove + ` AND "rev" = ?`),
		removeAny: d.placed(remove),
		exists:    d.placed("SELECT 1 FROM " + table + ` WHERE "id" = ?`),
		current:   d.placed("SELECT " + l.all.sql + " FROM " + table + ` WHERE "id" = ?`),
		set:       newSetSQL(func(s colSet) string { return d.placed(l.setOneRow(s)) }),
	}
}

// placed is a statement with the placeholders of the dialect, instead of question marks.
func (d Dialect) placed(query string) string {
	if d == SQLite {
		return query
	}
	var b strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

// apply runs the writes of a request. It returns an error that spoils the
// transaction; the outcome of each write goes into the write.
func (r *rowWriter) apply(req *request) error {
	if !req.atomic {
		for i := range req.writes {
			if err := r.write(&req.writes[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := r.conn.exec("SAVEPOINT atomic_writes"); err != nil {
		return err
	}
	for i := range req.writes {
		if err := r.write(&req.writes[i]); err != nil {
			return err
		}
		if cause := req.writes[i].err; cause != nil {
			req.rollBack(i)
			if _, err := r.conn.exec("ROLLBACK TO atomic_writes"); err != nil {
				return err
			}
			break
		}
	}
	_, err := r.conn.exec("RELEASE atomic_writes")
	return err
}

// rollBack gives the other writes of an atomic request the error of the i-th.
func (r *request) rollBack(i int) {
	cause := r.writes[i].err
	r.fail(rolledBack(cause))
	r.writes[i].err = cause
}

// write runs one write. It returns an error that spoils the transaction; the write's own
// outcome goes into the write.
func (r *rowWriter) write(w *write) error {
	switch w.kind {
	case docdriver.Create:
		n, err := r.execRow(r.sql.insert, w, w.newRev(0))
		if n == 0 {
			w.err = errExists
		}
		return err
	case docdriver.Put:
		_, err := r.execRow(r.sql.upsert, w, w.newRev(0))
		return err
	case docdriver.Update:
		if w.set == 0 {
			return r.update(w)
		}
	}
	var n int64
	var err error
	switch {
	case w.set != 0:
		n, err = r.execSet(w)
	case w.kind == docdriver.Replace && w.old != 0:
		n, err = r.execRow(r.sql.update, w, w.newRev(0))
	case w.kind == docdriver.Replace:
		n, err = r.execRow(r.sql.updateAny, w, w.newRev(0))
	case w.old != 0:
		n, err = r.conn.exec(r.sql.remove, w.id, w.old)
	default:
		n, err = r.conn.exec(r.sql.removeAny, w.id)
	}
	if err != nil || n > 0 {
		return err
	}
	exists, err := r.exists(w)
	w.err = w.missed(exists)
	return err
}

// execRow runs insert, upsert or one of the updates.
func (r *rowWriter) execRow(query string, w *write, rev int64) (int64, error) {
	r.args = append(append(r.args[:0], rev), w.row.cols...)
	if w.row.doc == nil {
		r.args = append(r.args, nil)
	} else {
		r.args = append(r.args, w.row.doc)
	}
	r.args = append(r.args, w.id)
	if query == r.sql.update {
		r.args = append(r.args, w.old)
	}
	return r.conn.exec(query, r.args...)
}

// execSet sets columns.
func (r *rowWriter) execSet(w *write) (int64, error) {
	r.args = append(r.args[:0], w.rev)
	w.set.each(func(i int) { r.args = append(r.args, w.row.cols[i]) })
	r.args = append(r.args, w.id, w.old)
	return r.conn.exec(r.sql.set.get(w.set), r.args...)
}

// exists reports whether the row of a write that found nothing is there. Only a
// write that asked for a revision can have missed one that is.
func (r *rowWriter) exists(w *write) (found bool, err error) {
	if w.old == 0 {
		return false, nil
	}
	err = r.conn.each(func([]driver.Value) error { found = true; return nil }, r.sql.exists, w.id)
	return found, err
}

// update reads the row, modifies it and writes it back, all in the transaction.
func (r *rowWriter) update(w *write) error {
	var cur *result
	err := r.conn.each(func(v []driver.Value) error { c := r.all.scan(v); cur = &c; return nil }, r.sql.current, w.id)
	if err != nil {
		return err
	}
	if w.row, w.err = w.modified(r.layout, cur); w.err == nil { // otherwise the write alone fails, and the transaction goes on
		_, err = r.execRow(r.sql.updateAny, w, w.newRev(cur.rev))
	}
	return err
}

// modified is what an Update makes of the row that was read; nil if there is none.
func (w *write) modified(l *layout, cur *result) (row, error) {
	switch {
	case cur == nil:
		return row{}, errNotFound
	case w.old != 0 && w.old != cur.rev:
		return row{}, errStale
	}
	return l.applyMods(row{cur.cols, cur.doc}, w.mods)
}
