package sqldocstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteDB is the backend for SQLite: one connection that writes and a few that read.
// A database in memory has the one connection for everything.
type sqliteDB struct {
	*layout
	connector driver.Connector
	memory    bool
	rows      rowWriter // on writer

	mu     sync.Mutex // guards writer
	writer *sqliteConn

	idleMu sync.Mutex
	idle   []*sqliteConn // connections for reading
	closed bool
	handle *sql.DB // what As gave out

	slots   chan struct{} // a place for each read in progress
	streams chan struct{} // a place for each query that keeps its connection
}

// maxStreams is how many queries may keep a connection each while their results are
// read; the results of any more are read into memory at once.
const maxStreams = 16

func openSQLite(ctx context.Context, path string, l *layout) (*collection, error) {
	memory := path == ":memory:"
	// Not SQLite's own ":memory:": with it a commit looks at every page of the database, and so
	// costs the more the more there is. In this file system, private to the connection, it costs
	// what has changed.
	dsn := "file:piecework?vfs=memdb"
	if !memory {
		dsn = "file:" + (&url.URL{Path: path}).EscapedPath()
	}
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	db := &sqliteDB{
		layout:    l,
		connector: connector,
		memory:    memory,
		rows:      rowWriter{layout: l, sql: newWriteSQL(l, SQLite)},
		slots:     make(chan struct{}, max(4, runtime.GOMAXPROCS(0))),
		streams:   make(chan struct{}, maxStreams),
	}
	if err := db.setUp(ctx); err != nil {
		if db.writer != nil {
			_ = db.writer.close()
		}
		return nil, err
	}
	return newCollection(l, db, 1, runtime.GOMAXPROCS(0), false), nil
}

// OpenDB opens a collection in the SQLite file that the application has open with the driver of
// modernc.org/sqlite: two builds of SQLite in one process break each other's locks. The collection
// has connections of its own. The options may be nil.
func OpenDB(ctx context.Context, db *sql.DB, opts *Options) (*docstore.Collection, error) {
	l, err := newLayout(opts)
	if err != nil {
		return nil, err
	}
	if _, ok := db.Driver().(*sqlite.Driver); !ok {
		return nil, invalidf("the driver of the database is %T: want *sqlite.Driver of modernc.org/sqlite, or OpenPool for PostgreSQL", db.Driver())
	}
	var file string
	if err := db.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file); err != nil {
		return nil, wrapf(err, "find the database's file")
	}
	if file == "" {
		return nil, invalidf("the database is in memory: want one in a file")
	}
	c, err := openSQLite(ctx, file, l)
	if err != nil {
		return nil, wrapf(err, "open table %s", l.Table)
	}
	return docstore.NewCollection(c), nil
}

// setUp opens the writing connection and makes or checks the table.
func (db *sqliteDB) setUp(ctx context.Context) (err error) {
	if db.writer, err = db.connect(ctx); err != nil {
		return err
	}
	db.rows.conn = db.writer
	pragmas := []string{"PRAGMA synchronous = " + db.Synchronous, "PRAGMA temp_store = memory"}
	if db.memory {
		pragmas = append(pragmas, "PRAGMA journal_mode = MEMORY", "PRAGMA locking_mode = EXCLUSIVE")
	} else {
		// A longer log than SQLite's 4 MB: pages that change again and again are
		// copied back to the database once in 16 MB.
		pragmas = append([]string{"PRAGMA journal_mode = WAL"}, append(pragmas,
			"PRAGMA wal_autocheckpoint = 4000", "PRAGMA journal_size_limit = 67108864")...)
	}
	for _, p := range pragmas {
		// Several processes that open a new file at once get SQLITE_BUSY here
		// without SQLite's own waiting.
		if err := db.retryBusy(ctx, func() error { _, err := db.writer.exec(p); return err }); err != nil {
			return wrapf(err, "%s", p)
		}
	}
	if !db.NoCreate {
		if err := db.retryBusy(ctx, db.create); err != nil {
			return wrapf(err, "create table %s", db.Table)
		}
	}
	return wrapf(db.check(), "table %s", db.Table)
}

// connect opens a connection.
func (db *sqliteDB) connect(ctx context.Context) (*sqliteConn, error) {
	dc, err := db.connector.Connect(ctx)
	if err != nil {
		return nil, wrapf(err, "connect")
	}
	c := &sqliteConn{c: dc, stmts: map[string]sqliteStmt{}}
	if _, err := c.exec(fmt.Sprintf("PRAGMA busy_timeout = %d", db.BusyTimeout.Milliseconds())); err != nil {
		_ = c.close()
		return nil, wrapf(err, "connect")
	}
	return c, nil
}

// create makes the table, the columns and the indexes that are not there, in one
// transaction, so that processes that start together wait for one another.
func (db *sqliteDB) create() (err error) {
	w := db.writer
	if _, err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = w.exec("ROLLBACK") // fails if the error itself has ended the transaction
		}
	}()
	stmts := db.schema(SQLite)
	if _, err := w.exec(stmts[0]); err != nil {
		return err
	}
	have := map[string]bool{}
	err = w.each(func(v []driver.Value) error { have[strings.ToLower(v[0].(string))] = true; return nil },
		"SELECT name FROM pragma_table_info(?)", db.Table)
	if err != nil {
		return err
	}
	for _, c := range db.Columns {
		if !have[strings.ToLower(c.Name)] {
			if _, err := w.exec(db.addColumnSQL(SQLite, c)); err != nil {
				return err
			}
		}
	}
	for _, s := range stmts[1:] {
		if _, err := w.exec(s); err != nil {
			return err
		}
	}
	_, err = w.exec("COMMIT")
	return err
}

// check prepares a statement that needs every column.
func (db *sqliteDB) check() error {
	_, err := db.writer.prepare("SELECT " + db.all.sql + " FROM " + db.table())
	return err
}

// retryBusy calls f until another process's lock does not stop it, for as long as
// BusyTimeout.
func (db *sqliteDB) retryBusy(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(db.BusyTimeout)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := f()
		if !isBusy(err) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: locked by another process for %v: %w", ErrUnavailable, db.BusyTimeout, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (db *sqliteDB) dialect() Dialect { return SQLite }

// as gives out a *sql.DB on the file, for what docstore does not do: a backup, VACUUM.
func (db *sqliteDB) as(i any) bool {
	p, ok := i.(**sql.DB)
	if !ok || db.memory {
		return false
	}
	db.idleMu.Lock()
	defer db.idleMu.Unlock()
	if db.handle == nil {
		db.handle = sql.OpenDB(db.connector)
	}
	*p = db.handle
	return true
}

// explain implements backend.
func (db *sqliteDB) explain(ctx context.Context, q *sqlQuery) (string, error) {
	c, err := db.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer db.release(c)
	var lines []string
	err = c.each(func(v []driver.Value) error { lines = append(lines, fmt.Sprint(v[3])); return nil },
		"EXPLAIN QUERY PLAN "+q.sql, q.args...)
	return strings.Join(lines, "\n"), err
}

// close implements backend. Queries that are still open close their connections when
// they are stopped.
func (db *sqliteDB) close() error {
	db.idleMu.Lock()
	defer db.idleMu.Unlock()
	db.closed = true
	var errs []error
	for _, c := range db.idle {
		errs = append(errs, c.close())
	}
	db.idle = nil
	if db.handle != nil {
		errs = append(errs, db.handle.Close())
	}
	return errors.Join(append(errs, db.writer.close())...)
}

// sqliteCode is the gcerrors code of an error of SQLite.
func sqliteCode(err error) (gcerrors.ErrorCode, bool) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_TOOBIG:
		return gcerrors.ResourceExhausted, true
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return gcerrors.PermissionDenied, true
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN:
		return gcerrors.Unknown, true
	case sqlite3.SQLITE_CONSTRAINT:
		return gcerrors.FailedPrecondition, true
	}
	return gcerrors.Internal, true
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

// inTx takes none: the transactions of SQLite are those of database/sql.
func (db *sqliteDB) inTx(any) (txStatements, bool) { return nil, false }
