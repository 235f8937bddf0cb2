package sqldocstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
)

// firstRows is how many rows of a query are read before its connection is kept for
// the rest. Most queries have fewer and free their connection at once.
const firstRows = 200

// acquire waits for a place to read and a connection. In memory there is only the
// writer's connection, which acquire locks.
func (db *sqliteDB) acquire(ctx context.Context) (*sqliteConn, error) {
	if db.memory {
		db.mu.Lock()
		return db.writer, nil
	}
	select {
	case db.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c := db.takeIdle(); c != nil {
		return c, nil
	}
	c, err := db.connect(ctx)
	if err == nil {
		_, err = c.exec("PRAGMA query_only = 1")
	}
	if err != nil {
		<-db.slots
		return nil, err
	}
	return c, nil
}

// release gives up the place; the connection goes back unless a query keeps it.
func (db *sqliteDB) release(c *sqliteConn) {
	if db.memory {
		db.mu.Unlock()
		return
	}
	if c != nil {
		db.putIdle(c)
	}
	<-db.slots
}

func (db *sqliteDB) takeIdle() *sqliteConn {
	db.idleMu.Lock()
	defer db.idleMu.Unlock()
	n := len(db.idle)
	if n == 0 {
		return nil
	}
	c := db.idle[n-1]
	db.idle = db.idle[:n-1]
	return c
}

func (db *sqliteDB) putIdle(c *sqliteConn) {
	db.idleMu.Lock()
	defer db.idleMu.Unlock()
	if db.closed {
		_ = c.close() // it has only read
		return
	}
	db.idle = append(db.idle, c)
}

// get implements backend.
func (db *sqliteDB) get(ctx context.Context, s *selection, ids []string) (out []result, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := db.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer db.release(c)
	query := "SELECT " + s.sql + " FROM " + db.table() + ` WHERE "id" = ?`
	args := []any{ids[0]}
	if len(ids) > 1 {
		query = "SELECT " + s.sql + " FROM " + db.table() + ` WHERE "id" IN (SELECT value FROM json_each(?))`
		args[0] = jsonList(ids)
	}
	err = db.retryBusy(ctx, func() error {
		out = out[:0]
		return c.each(func(v []driver.Value) error { out = append(out, s.scan(v)); return nil }, query, args...)
	})
	return out, err
}

// jsonList is a JSON list of strings, which are UTF-8: one parameter, and so one
// prepared statement, for any number of ids.
func jsonList(ss []string) string {
	var b strings.Builder
	sep := byte('[')
	for _, s := range ss {
		b.WriteByte(sep)
		sep = ','
		b.WriteByte('"')
		for i := range len(s) {
			switch c := s[i]; {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ':
				b.WriteString(`\u00`)
				b.WriteByte("0123456789abcdef"[c>>4])
				b.WriteByte("0123456789abcdef"[c&15])
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	}
	b.WriteByte(']')
	return b.String()
}

// query implements backend. It reads the first rows; if there are more, the stream
// keeps the connection, or reads everything where no connection is to be kept.
func (db *sqliteDB) query(ctx context.Context, q *sqlQuery) (rowStream, error) {
	c, err := db.acquire(ctx)
	if err != nil {
		return nil, err
	}
	st := &sqliteStream{db: db, s: q.s}
	err = db.retryBusy(ctx, func() (err error) {
		if st.rows, err = c.query(q.sql, q.args...); err != nil {
			return err
		}
		st.vals = make([]driver.Value, len(st.rows.Columns()))
		st.buf = st.buf[:0]
		if err = st.fill(ctx, firstRows); errors.Is(err, errEnd) {
			return nil
		}
		if err != nil && st.rows != nil {
			_ = st.rows.Close()
		}
		return err
	})
	if err != nil {
		db.release(c)
		return nil, err
	}
	return st, st.settle(ctx, c)
}

// sqliteStream is the rows of a query: those read already and the connection that
// has the others.
type sqliteStream struct {
	db   *sqliteDB
	s    *selection
	buf  []result
	rows driver.Rows // nil when all rows are in buf
	vals []driver.Value
	conn *sqliteConn // kept
	read int         // of buf
}

// settle decides whether the stream keeps the connection.
func (st *sqliteStream) settle(ctx context.Context, c *sqliteConn) error {
	if st.rows == nil {
		st.db.release(c)
		return nil
	}
	if !st.db.memory {
		select {
		case st.db.streams <- struct{}{}:
			st.conn = c
			st.db.release(nil)
			return nil
		default:
		}
	}
	err := st.fill(ctx, -1)
	if errors.Is(err, errEnd) {
		err = nil
	}
	if st.rows != nil {
		_ = st.rows.Close() // what was not read is of no use
	}
	st.db.release(c)
	return err
}

// fill reads up to n rows more, or all. At the end it closes rows and returns errEnd.
func (st *sqliteStream) fill(ctx context.Context, n int) error {
	for ; n != 0; n-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := st.rows.Next(st.vals)
		if err == io.EOF {
			return st.end()
		}
		if err != nil {
			return err
		}
		st.buf = append(st.buf, st.s.scan(st.vals))
	}
	return nil
}

// end closes the rows that have all been read.
func (st *sqliteStream) end() error {
	err := st.rows.Close()
	st.rows = nil
	if err != nil {
		return err
	}
	return errEnd
}

func (st *sqliteStream) next(ctx context.Context, r *result) error {
	if st.read == len(st.buf) {
		if st.rows == nil {
			return errEnd
		}
		st.buf, st.read = st.buf[:0], 0
		if err := st.fill(ctx, firstRows); err != nil && (!errors.Is(err, errEnd) || len(st.buf) == 0) {
			return err
		}
	}
	*r = st.buf[st.read]
	st.buf[st.read] = result{}
	st.read++
	return nil
}

// stop closes what is left of the query and gives the connection back.
func (st *sqliteStream) stop() {
	if st.rows != nil {
		_ = st.rows.Close() // what was not read is of no use
		st.rows = nil
	}
	if st.conn != nil {
		<-st.db.streams
		st.db.putIdle(st.conn)
		st.conn = nil
	}
}
