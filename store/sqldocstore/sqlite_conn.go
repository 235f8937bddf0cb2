package sqldocstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
)

// sqliteConn is one connection to SQLite with its prepared statements. It is used by
// one goroutine at a time. The package talks to database/sql's driver interface rather
// than to sql.DB: one connection writes and a few read, all of them for as long as the
// collection is open, so a pool would only add its cost to every statement.
type sqliteConn struct {
	c     driver.Conn
	stmts map[string]sqliteStmt
	args  []driver.NamedValue // reused by every call
}

// maxStmts caps the prepared statements of a connection; query shapes are few.
const maxStmts = 200

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// bg is the context of every statement: for one that can end, the driver starts a
// goroutine a statement. Callers' contexts are watched around the statements.
var bg = context.Background()

func (c *sqliteConn) prepare(query string) (sqliteStmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.c.Prepare(query)
	if err != nil {
		return nil, err
	}
	if len(c.stmts) >= maxStmts {
		for q, old := range c.stmts {
			_ = old.Close()
			delete(c.stmts, q)
			break
		}
	}
	stmt := s.(sqliteStmt)
	c.stmts[query] = stmt
	return stmt, nil
}

// exec runs a statement and reports how many rows it changed.
func (c *sqliteConn) exec(query string, args ...any) (int64, error) {
	c.bind(args)
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(bg, c.args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// bind makes the arguments of a statement.
func (c *sqliteConn) bind(args []any) {
	c.args = c.args[:0]
	for _, v := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: len(c.args) + 1, Value: v})
	}
}

// query runs a statement; the rows must be closed before it runs again.
func (c *sqliteConn) query(query string, args ...any) (driver.Rows, error) {
	c.bind(args)
	s, err := c.prepare(query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(bg, c.args)
}

// each calls f with every row; the slice is reused, the values are not.
func (c *sqliteConn) each(f func([]driver.Value) error, query string, args ...any) (err error) {
	rows, err := c.query(query, args...)
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	vals := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(vals); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := f(vals); err != nil {
			return err
		}
	}
}

func (c *sqliteConn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.c.Close())...)
}

// scan makes a result of the columns of a selection.
func (s *selection) scan(vals []driver.Value) result {
	r := result{id: vals[0].(string), rev: vals[1].(int64)}
	if n := len(s.cols); n > 0 {
		r.cols = make([]any, n)
		for i, v := range vals[2 : 2+n] {
			if b, ok := v.([]byte); ok && b == nil {
				v = []byte{} // SQLite's empty blob
			}
			r.cols[i] = v
		}
	}
	if s.doc {
		r.doc, _ = vals[len(vals)-1].([]byte)
	}
	return r
}
