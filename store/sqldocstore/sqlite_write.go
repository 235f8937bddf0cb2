package sqldocstore

import (
	"database/sql/driver"
	"errors"
	"strings"

	docdriver "gocloud.dev/docstore/driver"
)

// writeSQL is the statements that write one row. The arguments of insert, upsert and
// update start with the row: rev, the columns, doc.
type writeSQL struct {
	insert, upsert    string // ... id
	update, updateAny string // ... id [, old revision]
	remove, removeAny string // id [, old revision]
	exists, current   string // id
	set               *setSQL[string]
}

func newWriteSQL(l *layout) writeSQL {
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
	table := quote(l.Table)
	insert := "INSERT INTO " + table + " (" + quoteAll(names) + `, "id") VALUES (` +
		strings.Repeat("?, ", len(names)) + `?) ON CONFLICT ("id") DO `
	update := "UPDATE " + table + " SET " + strings.Join(set, ", ") + ` WHERE "id" = ?`
	remove := "DELETE FROM " + table + ` WHERE "id" = ?`
	return writeSQL{
		insert:    insert + "NOTHING",
		upsert:    insert + "UPDATE SET " + strings.Join(excluded, ", "),
		update:    update + ` AND "rev" = ?`,
		updateAny: update,
		remove:    remove + ` AND "rev" = ?`,
		removeAny: remove,
		exists:    "SELECT 1 FROM " + table + ` WHERE "id" = ?`,
		current:   "SELECT " + l.all.sql + " FROM " + table + ` WHERE "id" = ?`,
		set:       newSetSQL(l.sqliteSet),
	}
}

// commit implements backend.
func (db *sqliteDB) commit(reqs []*request) {
	db.mu.Lock()
	defer db.mu.Unlock()
	isolate(reqs, db.transact)
}

// transact commits the requests in one transaction. After an error nothing of them
// is applied.
func (db *sqliteDB) transact(reqs []*request) (err error) {
	w := db.writer
	begin := func() error { _, err := w.exec("BEGIN IMMEDIATE"); return err }
	if err := db.retryBusy(bg, begin); err != nil {
		return err
	}
	for _, r := range reqs {
		r.fail(nil)
		if err = db.apply(r); err != nil {
			break
		}
	}
	if err == nil {
		_, err = w.exec("COMMIT")
	}
	if err != nil {
		_, _ = w.exec("ROLLBACK") // fails if the error itself has ended the transaction
	}
	return err
}

// apply runs the writes of a request. It returns an error that spoils the
// transaction; the outcome of each write goes into the write.
func (db *sqliteDB) apply(r *request) error {
	if !r.atomic {
		for i := range r.writes {
			if err := db.applyWrite(&r.writes[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := db.writer.exec("SAVEPOINT atomic_writes"); err != nil {
		return err
	}
	for i := range r.writes {
		if err := db.applyWrite(&r.writes[i]); err != nil {
			return err
		}
		if cause := r.writes[i].err; cause != nil {
			r.rollBack(i)
			if _, err := db.writer.exec("ROLLBACK TO atomic_writes"); err != nil {
				return err
			}
			break
		}
	}
	_, err := db.writer.exec("RELEASE atomic_writes")
	return err
}

// rollBack gives the other writes of an atomic request the error of the i-th.
func (r *request) rollBack(i int) {
	cause := r.writes[i].err
	r.fail(rolledBack(cause))
	r.writes[i].err = cause
}

func (db *sqliteDB) applyWrite(w *write) error {
	c, q := db.writer, &db.sql
	switch w.kind {
	case docdriver.Create:
		n, err := db.execRow(q.insert, w, w.newRev(0))
		if n == 0 {
			w.err = errExists
		}
		return err
	case docdriver.Put:
		_, err := db.execRow(q.upsert, w, w.newRev(0))
		return err
	case docdriver.Update:
		if w.set == 0 {
			return db.applyUpdate(w)
		}
	}
	var n int64
	var err error
	switch {
	case w.set != 0:
		n, err = db.execSet(w)
	case w.kind == docdriver.Replace && w.old != 0:
		n, err = db.execRow(q.update, w, w.newRev(0))
	case w.kind == docdriver.Replace:
		n, err = db.execRow(q.updateAny, w, w.newRev(0))
	case w.old != 0:
		n, err = c.exec(q.remove, w.id, w.old)
	default:
		n, err = c.exec(q.removeAny, w.id)
	}
	if err != nil || n > 0 {
		return err
	}
	exists, err := db.exists(w)
	w.err = w.missed(exists)
	return err
}

// execRow runs insert, upsert or one of the updates.
func (db *sqliteDB) execRow(query string, w *write, rev int64) (int64, error) {
	c := db.writer
	c.args = c.args[:0]
	c.add(rev)
	for _, v := range w.row.cols {
		c.add(v)
	}
	if w.row.doc == nil {
		c.add(nil)
	} else {
		c.add(w.row.doc)
	}
	c.add(w.id)
	if query == db.sql.update {
		c.add(w.old)
	}
	return c.execArgs(query)
}

// execSet sets columns.
func (db *sqliteDB) execSet(w *write) (int64, error) {
	c := db.writer
	c.args = c.args[:0]
	c.add(w.rev)
	w.set.each(func(i int) { c.add(w.row.cols[i]) })
	c.add(w.id)
	c.add(w.old)
	return c.execArgs(db.sql.set.get(w.set))
}

// exists reports whether the row of a write that found nothing is there. Only a
// write that asked for a revision can have missed one that is.
func (db *sqliteDB) exists(w *write) (found bool, err error) {
	if w.old == 0 {
		return false, nil
	}
	err = db.writer.each(func([]driver.Value) error { found = true; return nil }, db.sql.exists, w.id)
	return found, err
}

// applyUpdate reads the row, modifies it and writes it back, all in the transaction.
func (db *sqliteDB) applyUpdate(w *write) error {
	var cur *result
	err := db.writer.each(func(v []driver.Value) error { r := db.all.scan(v); cur = &r; return nil },
		db.sql.current, w.id)
	if err != nil {
		return err
	}
	switch {
	case cur == nil:
		w.err = errNotFound
	case w.old != 0 && w.old != cur.rev:
		w.err = errStale
	default:
		w.row, w.err = db.applyMods(row{cur.cols, cur.doc}, w.mods)
	}
	if w.err == nil { // otherwise the write alone fails, and the transaction goes on
		_, err = db.execRow(db.sql.updateAny, w, w.newRev(cur.rev))
	}
	return err
}

// worthRetrying reports whether the requests of a failed transaction may fare better
// one by one: not if the database as a whole is the trouble.
func worthRetrying(err error) bool {
	return !errors.Is(err, ErrUnavailable) && !isContextError(err)
}
