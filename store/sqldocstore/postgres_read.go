package sqldocstore

import (
	"context"
	"errors"
	"strings"

	"github.com/piecework/piecework/store/sqldocstore/internal/server"
)

// get implements backend. A connection that turns out to be dead is replaced once: the
// server may have been restarted since it was last used.
func (db *postgresDB) get(ctx context.Context, s *selection, ids []string) ([]result, error) {
	rows, err := db.tryGet(ctx, s, ids)
	if unreachable(err) && ctx.Err() == nil {
		rows, err = db.tryGet(ctx, s, ids)
	}
	return rows, err
}

func (db *postgresDB) tryGet(ctx context.Context, s *selection, ids []string) ([]result, error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	defer conn.Release()
	rows, err := db.read(ctx, conn, s, ids)
	return rows, unavailable(err)
}

// read reads rows by key.
func (db *postgresDB) read(ctx context.Context, conn server.Conn, s *selection, ids []string) ([]result, error) {
	sql := "SELECT " + s.sql + " FROM " + db.table() + ` WHERE "id" = ANY($1)`
	rows, err := queryRows(ctx, conn, sql, [][]byte{encodeIDs(ids)}, idsOID)
	if err != nil {
		return nil, err
	}
	var out []result
	for rows.NextRow() {
		out = append(out, db.scanWire(s, rows.Values()))
	}
	return out, rows.Close()
}

// query implements backend.
func (db *postgresDB) query(ctx context.Context, q *sqlQuery) (rowStream, error) {
	st, err := db.tryQuery(ctx, q)
	if unreachable(err) && ctx.Err() == nil {
		st, err = db.tryQuery(ctx, q)
	}
	if err != nil {
		return nil, err
	}
	return st, nil
}

// tryQuery reads the first rows; if there are more, the stream keeps the connection, or
// reads everything when all that may be kept are. A pooled connection may not be kept: the
// pooler may have few, and the reader of the rows may wait for another meanwhile.
func (db *postgresDB) tryQuery(ctx context.Context, q *sqlQuery) (*pgStream, error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	args, oids := encodeArgs(q.args)
	rows, err := queryRows(ctx, conn, q.sql, args, oids)
	if err != nil {
		conn.Release()
		return nil, unavailable(err)
	}
	st := &pgStream{db: db, s: q.s, conn: conn, rows: rows}
	if err = st.fill(ctx, firstRows); err == nil {
		places := db.streams
		if conn.Pooled() {
			places = nil
		}
		select {
		case places <- struct{}{}:
			st.slot = true
			return st, nil
		default:
			err = st.fill(ctx, -1)
		}
	}
	st.stop()
	if !errors.Is(err, errEnd) {
		return nil, unavailable(err)
	}
	return st, nil
}

// pgStream is the rows of a query.
type pgStream struct {
	db   *postgresDB
	s    *selection
	conn server.Conn // nil when all rows are in buf
	rows server.Results
	slot bool // the stream holds a place among db.streams
	buf  []result
	read int // of buf
}

// fill reads up to n rows more, or all; errEnd at the end.
func (st *pgStream) fill(ctx context.Context, n int) error {
	for ; n != 0; n-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !st.rows.NextRow() {
			err := st.rows.Close()
			st.rows = nil
			if err == nil {
				err = errEnd
			}
			return err
		}
		st.buf = append(st.buf, st.db.scanWire(st.s, st.rows.Values()))
	}
	return nil
}

func (st *pgStream) next(ctx context.Context, r *result) error {
	if st.read == len(st.buf) {
		if st.conn == nil {
			return errEnd
		}
		st.buf, st.read = st.buf[:0], 0
		err := st.fill(ctx, firstRows)
		if err != nil {
			st.stop()
		}
		if errors.Is(err, errEnd) && len(st.buf) == 0 {
			return err
		}
		if err != nil && !errors.Is(err, errEnd) {
			return unavailable(err)
		}
	}
	*r = st.buf[st.read]
	st.buf[st.read] = result{}
	st.read++
	return nil
}

// stop gives the connection back. One that has rows to come is closed: reading them
// all to be rid of them could take long.
func (st *pgStream) stop() {
	if st.conn == nil {
		return
	}
	if st.rows != nil {
		st.conn.Kill()
		st.rows = nil
	}
	st.conn.Release()
	st.conn = nil
	if st.slot {
		<-st.db.streams
	}
}

// explain implements backend.
func (db *postgresDB) explain(ctx context.Context, q *sqlQuery) (string, error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return "", unavailable(err)
	}
	defer conn.Release()
	args, oids := encodeArgs(q.args)
	rows, err := queryRows(ctx, conn, "EXPLAIN (COSTS OFF) "+q.sql, args, oids)
	if err != nil {
		return "", unavailable(err)
	}
	var lines []string
	for rows.NextRow() {
		lines = append(lines, string(rows.Values()[0]))
	}
	return strings.Join(lines, "\n"), unavailable(rows.Close())
}

// queryRows sends one statement. After an error of the server there are no rows, and Close has it.
func queryRows(ctx context.Context, conn server.Conn, sql string, args [][]byte, oids []uint32) (server.Results, error) {
	b := conn.Batch()
	if err := b.Add(ctx, sql, args, oids); err != nil {
		return nil, err
	}
	res := b.Send(ctx)
	res.Next()
	return res, nil
}
