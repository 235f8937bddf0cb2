package sqldocstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/sqldocstore/internal/server"
)

// InTx returns a collection whose reads and writes are part of a transaction of the caller, which
// is a pgx.Tx or a *sql.Tx on the database of coll. Others see its writes when the caller commits.
// Queries are not supported. After an error that is not one of a document, PostgreSQL refuses the
// rest of the transaction: roll it back. Close the collection before the transaction ends.
//
// Do not use the transaction for something else during a call.
func InTx(coll *docstore.Collection, tx any) (*docstore.Collection, error) {
	var c *collection
	if !coll.As(&c) {
		return nil, invalidf("the collection is not in SQLite or PostgreSQL, so it has no transactions of SQL")
	}
	db := &txDB{layout: c.layout, d: c.db.dialect()}
	if t, ok := tx.(*sql.Tx); ok {
		db.tx = sqlTx{t}
	} else if db.tx, ok = c.db.inTx(tx); !ok {
		return nil, invalidf("a transaction is a *sql.Tx or, for a collection in PostgreSQL, a pgx.Tx, not a %T", tx)
	}
	db.rows = rowWriter{layout: c.layout, conn: db, sql: newWriteSQL(c.layout, db.d)}
	return docstore.NewCollection(newCollection(c.layout, db, 1, 1, false)), nil
}

// txStatements runs statements in a transaction.
type txStatements interface {
	exec(ctx context.Context, query string, args []any) (int64, error)
	each(ctx context.Context, f func([]driver.Value) error, query string, args []any) error
}

// txDB is the backend for one transaction.
type txDB struct {
	*layout

	d    Dialect
	tx   txStatements
	rows rowWriter

	mu  sync.Mutex // one statement at a time
	ctx context.Context
}

// commit applies writes; it is the caller who commits.
func (db *txDB) commit(reqs []*request) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, r := range reqs {
		db.ctx = r.ctx //nolint:fatcontext // of this request alone
		r.fail(nil)
		if err := db.rows.apply(r); err != nil {
			r.fail(err)
		}
	}
}

// exec implements rowConn. The caller holds mu.
func (db *txDB) exec(query string, args ...any) (int64, error) {
	n, err := db.tx.exec(db.ctx, query, args)
	return n, explain(err)
}

// explain says what to do after an error that is not a document's. Trying again within the transaction
// does not help.
func explain(err error) error {
	what := ""
	switch code := sqlState(err); {
	case isBusy(err):
		what = "another transaction has written since this one began to read, or writes now: roll this one back, begin it for writing " +
			"(BEGIN IMMEDIATE, the parameter _txlock=immediate), and repeat it"
	case code == "40001" || code == "40P01" || code == lockTimeout:
		what = "another transaction has been in the way: roll this one back, and repeat it"
	case code == readOnly:
		what = "the transaction takes no writes: begin it for writing"
	case code == "25P02":
		what = "the transaction has failed before: roll it back"
	case code == "42P01":
		what = "the table is not there: the transaction is one on another database"
	case errors.Is(err, sql.ErrTxDone) || err != nil && strings.Contains(err.Error(), "tx is closed"): // pgx.ErrTxClosed
		what = "the transaction has ended"
	}
	if what == "" {
		return err
	}
	return &opError{gcerrors.InvalidArgument, what, err}
}

// each implements rowConn. The caller holds mu.
func (db *txDB) each(f func([]driver.Value) error, query string, args ...any) error {
	return explain(db.tx.each(db.ctx, f, query, args))
}

func (db *txDB) get(ctx context.Context, s *selection, ids []string) (out []result, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	query := db.d.placed("SELECT " + s.sql + " FROM " + db.table() + ` WHERE "id" = ?`)
	for _, id := range ids {
		if err := db.tx.each(ctx, func(v []driver.Value) error { out = append(out, s.scan(v)); return nil }, query, []any{id}); err != nil {
			return nil, explain(err)
		}
	}
	return out, nil
}

var errNoQuery = invalidf("a collection in a transaction takes no queries")

func (*txDB) query(context.Context, *sqlQuery) (rowStream, error) { return nil, errNoQuery }
func (*txDB) explain(context.Context, *sqlQuery) (string, error)  { return "", errNoQuery }
func (db *txDB) dialect() Dialect                                 { return db.d }
func (*txDB) as(any) bool                                         { return false }
func (*txDB) inTx(any) (txStatements, bool)                       { return nil, false }
func (*txDB) close() error                                        { return nil }

// serverTx is a transaction of the client of PostgreSQL.
type serverTx struct{ tx server.Tx }

func (t serverTx) exec(ctx context.Context, query string, args []any) (int64, error) {
	return t.tx.Run(ctx, query, args)
}

func (t serverTx) each(ctx context.Context, f func([]driver.Value) error, query string, args []any) error {
	return t.tx.Each(ctx, func(row []any) error { return f(asValues(row)) }, query, args)
}

func asValues(found []any) []driver.Value {
	values := make([]driver.Value, len(found))
	for i, v := range found {
		values[i] = v
	}
	return values
}

// sqlTx is a transaction of database/sql.
type sqlTx struct{ tx *sql.Tx }

func (t sqlTx) exec(ctx context.Context, query string, args []any) (int64, error) {
	res, err := t.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t sqlTx) each(ctx context.Context, f func([]driver.Value) error, query string, args []any) (err error) {
	rows, err := t.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		found, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range found {
			into[i] = &found[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := f(asValues(found)); err != nil {
			return err
		}
	}
	return rows.Err()
}
