package sqldocstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/store/sqldocstore/internal/server"
)

// pgWrite is a write with the row that it comes down to.
type pgWrite struct {
	*write
	row      row
	expected int64 // the revision that must be found; 0 for any
	rev      int64
	retry    bool // expected is not the caller's: if it is not found, start again
	done     bool // the statement wrote the row
}

// pgTransaction is one transaction's work on one connection.
type pgTransaction struct {
	db     *postgresDB
	ctx    context.Context
	conn   server.Conn
	atomic bool
	writes []pgWrite
	groups [][]pgWrite // parts of writes, one for each statement
	args   [][]byte    // parameters, in buf
	buf    []byte
}

// transactions keeps their memory: a group of writes is some 100 KB.
var transactions = sync.Pool{New: func() any { return new(pgTransaction) }}

// release forgets everything but the memory.
func (t *pgTransaction) release() {
	clear(t.writes)
	if cap(t.buf) > maxBatchBytes/4 {
		t.buf = nil
	}
	*t = pgTransaction{writes: t.writes[:0], groups: t.groups[:0], args: t.args[:0], buf: t.buf[:0]}
	transactions.Put(t)
}

// run executes the writes. An Update whose row changed between reading and writing is
// computed again.
func (t *pgTransaction) run() error {
	for range maxRetries {
		if err := t.attempt(); err != nil || t.atomic {
			return err
		}
		t.writes = slices.DeleteFunc(t.writes, func(w pgWrite) bool { return !w.lost() })
		if len(t.writes) == 0 {
			return nil
		}
	}
	for _, w := range t.writes {
		w.err = errLostRace
	}
	return nil
}

// lost reports whether the write has to be tried again.
func (w *pgWrite) lost() bool { return w.retry && !w.done && w.err == nil }

// attempt sends one statement for each kind of write, all at once, in one transaction.
// Rows are written in the order of their keys, so that two processes do not wait for
// each other.
func (t *pgTransaction) attempt() error {
	if err := t.readForUpdates(); err != nil {
		return err
	}
	all := len(t.writes)
	t.writes = slices.DeleteFunc(t.writes, func(w pgWrite) bool { return w.err != nil })
	if len(t.writes) == 0 || t.atomic && len(t.writes) < all {
		return nil
	}
	slices.SortFunc(t.writes, func(a, b pgWrite) int {
		return cmp.Or(cmp.Compare(a.phase(), b.phase()), cmp.Compare(a.set, b.set), strings.Compare(a.id, b.id))
	})
	t.group()
	if err := t.send(); err != nil {
		return err
	}
	if t.atomic && slices.ContainsFunc(t.writes, func(w pgWrite) bool { return w.lost() }) {
		return errLostRace // and rolled back
	}
	t.explainMissed()
	return nil
}

// group makes groups of the sorted writes.
func (t *pgTransaction) group() {
	t.groups = t.groups[:0]
	start := 0
	for i := range t.writes {
		w, next := &t.writes[i], i+1
		if next == len(t.writes) || t.writes[next].phase() != w.phase() || t.writes[next].set != w.set {
			t.groups = append(t.groups, t.writes[start:next])
			start = next
		}
	}
}

// The phases of a transaction: one statement each, and in the last one for each set of columns.
const (
	phaseInsert = iota
	phaseUpsert
	phaseUpdate
	phaseRemove
	phaseSet
)

func (w *pgWrite) phase() int {
	switch {
	case w.kind == driver.Create:
		return phaseInsert
	case w.kind == driver.Put:
		return phaseUpsert
	case w.kind == driver.Delete:
		return phaseRemove
	case w.set != 0:
		return phaseSet
	default:
		return phaseUpdate
	}
}

// readForUpdates computes the rows that Updates come to. They are written only if the
// row is still the one that was read here.
func (t *pgTransaction) readForUpdates() error {
	var ids []string
	for i := range t.writes {
		w := &t.writes[i]
		w.row, w.expected, w.rev = w.write.row, w.old, w.newRev(0)
		if w.reads() {
			ids = append(ids, w.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := t.db.read(t.ctx, t.conn, t.db.all, ids)
	if err != nil {
		return err
	}
	found := map[string]*result{}
	for i := range rows {
		found[rows[i].id] = &rows[i]
	}
	for i := range t.writes {
		if w := &t.writes[i]; w.reads() {
			w.modify(t.db.layout, found[w.id])
		}
	}
	return nil
}

// reads reports whether the row must be read before it can be written.
func (w *pgWrite) reads() bool { return w.kind == driver.Update && w.set == 0 }

// modify turns an Update into the replacement of the row that was read.
func (w *pgWrite) modify(l *layout, cur *result) {
	if w.row, w.err = w.modified(l, cur); w.err == nil {
		w.expected, w.rev = cur.rev, w.newRev(cur.rev)
		w.retry = w.old == 0
	}
}

// send sends a statement for each group in one go and notes what was written.
func (t *pgTransaction) send() error {
	batch := t.conn.Batch()
	if t.atomic {
		batch.Begin()
	}
	for _, g := range t.groups {
		st := t.db.sql.statement(g)
		if err := batch.Add(t.ctx, st.sql, t.encode(st, g), st.oids); err != nil {
			return err
		}
	}
	res := batch.Send(t.ctx)
	if t.atomic {
		res.Next()
	}
	for _, g := range t.groups {
		if !res.Next() {
			break // Close has the error
		}
		markWritten(g, res)
	}
	err := res.Close()
	if t.atomic {
		err = t.finish(err)
	}
	return err
}

// encode makes the parameters of a statement, in memory that the next call reuses.
func (t *pgTransaction) encode(st *pgStatement, g []pgWrite) [][]byte {
	t.args, t.buf = t.args[:0], t.buf[:0]
	for i := range st.params {
		start := len(t.buf)
		t.buf = st.params[i].appendTo(t.buf, g)
		t.args = append(t.args, t.buf[start:])
	}
	return t.args
}

// finish ends an atomic transaction: it commits only if every write was done.
func (t *pgTransaction) finish(err error) error {
	end := "COMMIT"
	for i := range t.writes {
		w := &t.writes[i]
		if err != nil || !w.done && !(w.kind == driver.Delete && w.old == 0) {
			end = "ROLLBACK"
		}
	}
	if _, e := t.conn.Exec(t.ctx, end); err == nil {
		err = e
	}
	return err
}

// markWritten notes the writes whose keys a statement returned. The rows come in the
// order of the group, with the rare exception that the map is for.
func markWritten(g []pgWrite, rows server.Results) {
	next := 0
	var index map[string]int
	for rows.NextRow() {
		id := rows.Values()[0]
		for next < len(g) && g[next].id != string(id) {
			next++
		}
		if next < len(g) {
			g[next].done = true
			next++
			continue
		}
		if index == nil {
			index = make(map[string]int, len(g))
			for i := range g {
				index[g[i].id] = i
			}
		}
		g[index[string(id)]].done = true
	}
}

// explainMissed gives the writes that found no row their outcome. The transaction is
// over: an error here is theirs alone.
func (t *pgTransaction) explainMissed() {
	var ids []string
	for i := range t.writes {
		switch w := &t.writes[i]; {
		case w.done || w.retry:
		case w.kind == driver.Create:
			w.err = errExists
		case w.old != 0:
			ids = append(ids, w.id)
		default:
			w.err = w.missed(false)
		}
	}
	if len(ids) == 0 {
		return
	}
	exists, err := t.existing(ids)
	for i := range t.writes {
		if w := &t.writes[i]; !w.done && !w.retry && w.err == nil && w.old != 0 {
			if w.err = err; err == nil {
				w.err = w.missed(exists[w.id])
			}
		}
	}
}

func (t *pgTransaction) existing(ids []string) (map[string]bool, error) {
	rows, err := queryRows(t.ctx, t.conn, t.db.sql.existing, [][]byte{encodeIDs(ids)}, idsOID)
	if err != nil {
		return nil, t.db.timedOut(err)
	}
	exists := map[string]bool{}
	for rows.NextRow() {
		exists[string(rows.Values()[0])] = true
	}
	return exists, t.db.timedOut(rows.Close())
}
