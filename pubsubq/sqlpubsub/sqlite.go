package sqlpubsub

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteConns is how many connections are kept.
const sqliteConns = 3

// pollFile is how often a process looks whether another process has changed the file.
const pollFile = 20 * time.Millisecond

// sqliteDB is SQLite. Its times are this process's, since all its processes are on one machine.
type sqliteDB struct {
	onError func(error)
	// Transient messages are written without waiting for the disk: a power cut may lose them, the
	// death of the process does not, and neither damages the file.
	durable, transient, reader *sqliteConn
}

// The statements of SQLite.
const (
	sqliteInsert = `INSERT INTO TABLE ("queue", "due", "id", "tries", "body", "meta") VALUES (?, ?, ?, ?, ?, ?)`
	sqliteDue    = `("queue", "due", "id") IN (SELECT "queue", "due", "id" FROM TABLE WHERE "queue" = ? AND "due" <= ? ORDER BY "due", "id" LIMIT ?)`
	sqliteTake   = `DELETE FROM TABLE WHERE ` + sqliteDue + ` RETURNING "due", "id", "tries" + 1, "body", "meta"`
	sqliteHide   = `UPDATE TABLE SET "due" = ?, "tries" = "tries" + 1 WHERE ` + sqliteDue + ` RETURNING "due", "id", "tries", "body", "meta"`
	sqliteRemove = `DELETE FROM TABLE WHERE "queue" = ? AND "due" = ? AND "id" = ?`
	sqliteBack   = `UPDATE TABLE SET "due" = ? WHERE "queue" = ? AND "due" = ? AND "id" = ?`
	sqliteNext   = `SELECT "due" FROM TABLE WHERE "queue" = ? ORDER BY "due" LIMIT 1`
)

func sqliteStatements(t *table) {
	t.insert, t.take = fill(sqliteInsert, t.name, ""), fill(sqliteHide, t.name, "")
	if t.transient {
		t.take = fill(sqliteTake, t.name, "")
	}
	t.remove, t.giveBack, t.next = fill(sqliteRemove, t.name, ""), fill(sqliteBack, t.name, ""), fill(sqliteNext, t.name, "")
}

func openSQLite(ctx context.Context, db *sql.DB, o Options) (*sqliteDB, error) {
	if _, ok := db.Driver().(*sqlite.Driver); !ok {
		return nil, fmt.Errorf("sqlpubsub: the driver of the database is %T: want *sqlite.Driver of modernc.org/sqlite, "+
			"or package sqlpubsub/postgres for PostgreSQL", db.Driver())
	}
	if n := db.Stats().MaxOpenConnections; n > 0 && n <= sqliteConns {
		return nil, fmt.Errorf("sqlpubsub: the database may have %d connections open, and the queues keep %d: allow more", n, sqliteConns)
	}
	s := &sqliteDB{onError: o.OnError}
	for _, c := range []struct {
		into        **sqliteConn
		synchronous string
	}{{&s.durable, "FULL"}, {&s.transient, "NORMAL"}, {&s.reader, "FULL"}} {
		conn, err := db.Conn(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("sqlpubsub: connect: %w", err), s.close())
		}
		*c.into = &sqliteConn{conn: conn, stmts: map[string]*sql.Stmt{}}
		for _, pragma := range []string{"busy_timeout = 0", "synchronous = " + c.synchronous, "wal_autocheckpoint = 4000"} {
			if _, err := conn.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
				return nil, errors.Join(fmt.Errorf("sqlpubsub: set %s: %w", pragma, err), s.close())
			}
		}
	}
	var mode string
	if err := s.reader.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		return nil, errors.Join(fmt.Errorf("sqlpubsub: the journal mode is %q: want a file in mode wal", mode), err, s.close())
	}
	return s, nil
}

// sqliteConn is one connection. It is taken from the pool for good, because it has settings of its
// own.
type sqliteConn struct {
	mu    sync.Mutex
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// bg is the context of statements: for one that can end, the driver starts a goroutine a statement.
var bg = context.Background()

func (c *sqliteConn) prepare(text string) (*sql.Stmt, error) {
	if s, ok := c.stmts[text]; ok {
		return s, nil
	}
	s, err := c.conn.PrepareContext(bg, text)
	if err == nil {
		c.stmts[text] = s
	}
	return s, err
}

func (c *sqliteConn) exec(text string, args ...any) error {
	s, err := c.prepare(text) //nolint:sqlclosecheck // kept until close
	if err != nil {
		return err
	}
	_, err = s.ExecContext(bg, args...)
	return err
}

func (c *sqliteConn) rows(text string, args ...any) (rows []row, err error) {
	s, err := c.prepare(text) //nolint:sqlclosecheck // kept until close
	if err != nil {
		return nil, err
	}
	found, err := s.QueryContext(bg, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var r row
		if err := found.Scan(&r.due, &r.id, &r.tries, &r.body, &r.meta); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, found.Err()
}

// number runs a query of one number.
func (c *sqliteConn) number(text string, args ...any) (n int64, ok bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.prepare(text) //nolint:sqlclosecheck // kept until close
	if err != nil {
		return 0, false, err
	}
	err = s.QueryRowContext(bg, args...).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return n, err == nil, err
}

// write runs f in one transaction, again and again while another connection writes, until ctx ends.
func (c *sqliteConn) write(ctx context.Context, f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 5*time.Millisecond) {
		err := c.exec("BEGIN IMMEDIATE")
		if err == nil {
			if err = f(); err == nil {
				err = c.exec("COMMIT")
			}
			if err != nil {
				_ = c.exec("ROLLBACK") // fails if the error itself has ended the transaction
			}
		}
		if !isBusy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}

func (c *sqliteConn) close() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	_ = c.conn.Raw(func(any) error { return driver.ErrBadConn }) // so that nobody else gets its settings
	return errors.Join(errs...)
}

func (s *sqliteDB) writer(t *table) *sqliteConn {
	if t.transient {
		return s.transient
	}
	return s.durable
}

func (s *sqliteDB) create(ctx context.Context, statements []string, _ [2]*table) error {
	return s.durable.write(ctx, func() error {
		for _, text := range statements {
			if err := s.durable.exec(text); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *sqliteDB) insert(ctx context.Context, t *table, queue string, rows []row) error {
	c := s.writer(t)
	run := func(_ context.Context, query string, args ...any) error { return c.exec(query, args...) }
	return c.write(ctx, func() error { return s.insertBy(ctx, run, t, queue, rows) })
}

func (s *sqliteDB) insertBy(ctx context.Context, run Exec, t *table, queue string, rows []row) error {
	now := time.Now().UnixMicro()
	for _, r := range rows {
		if err := run(ctx, t.insert, queue, now+r.due, r.id, r.tries, r.body, r.meta); err != nil {
			return err
		}
	}
	return nil
}

func (*sqliteDB) inTx(tx any) (Exec, error) { return inSQLTx(tx) }

// take looks before it writes, because a write keeps others from writing even if there is nothing
// to take.
func (s *sqliteDB) take(ctx context.Context, t *table, queue string, most int) (rows []row, wait time.Duration, err error) {
	if wait, err = s.next(ctx, t, queue); err != nil || wait > 0 {
		return nil, wait, err
	}
	c := s.writer(t)
	err = c.write(ctx, func() (err error) {
		now := time.Now().UnixMicro() // after the wait for other writers
		args := []any{queue, now, most}
		if !t.transient {
			args = []any{now + t.hide, queue, now, most}
		}
		rows, err = c.rows(t.take, args...)
		return err
	})
	return rows, wait, err
}

func (s *sqliteDB) remove(ctx context.Context, t *table, queue string, rows []row) error {
	c := s.writer(t)
	return c.write(ctx, func() error {
		for _, r := range rows {
			if err := c.exec(t.remove, queue, r.due, r.id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *sqliteDB) giveBack(ctx context.Context, t *table, queue string, rows []row) error {
	c := s.writer(t)
	return c.write(ctx, func() error {
		now := time.Now().UnixMicro()
		for _, r := range rows {
			if err := c.exec(t.giveBack, now, queue, r.due, r.id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *sqliteDB) next(_ context.Context, t *table, queue string) (time.Duration, error) {
	due, ok, err := s.reader.number(t.next, queue)
	if err != nil || !ok {
		return never, err
	}
	return time.Duration(due-time.Now().UnixMicro()) * time.Microsecond, nil
}

// senders is one, as there is one writer at a time.
func (s *sqliteDB) senders() int { return 1 }

// watch looks at the version of the data, which is a number in memory that the processes share.
func (s *sqliteDB) watch(ctx context.Context, ring func(queue string)) {
	tick := time.NewTicker(pollFile)
	defer tick.Stop()
	var seen int64
	for {
		version, _, err := s.reader.number("PRAGMA data_version")
		switch {
		case err != nil && !isBusy(err):
			s.onError(fmt.Errorf("look for messages: %w", err))
		case err == nil && version != seen:
			seen = version
			ring("")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *sqliteDB) close() error {
	return errors.Join(s.durable.close(), s.transient.close(), s.reader.close())
}

func isBusy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}
