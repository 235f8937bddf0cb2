// Package postgres opens queues of package sqlpubsub in PostgreSQL. It is a package of its own so
// that programs over SQLite do not link the client of PostgreSQL.
package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/piecework/piecework/pubsubq/sqlpubsub"
)

// OpenPool opens queues in PostgreSQL, and creates the tables if they are missing. The pool may be
// the application's own, and may lead to PgBouncer in transaction mode. Close does not close it.
// One more connection than the pool has listens. When the server refuses to write, as a standby does,
// the pool is reset. The options may be nil.
func OpenPool(ctx context.Context, pool *pgxpool.Pool, opts *sqlpubsub.Options) (*sqlpubsub.Queues, error) {
	return sqlpubsub.OpenServer(ctx, server{pool}, opts)
}

// server implements sqlpubsub.Server.
type server struct{ pool *pgxpool.Pool }

// Exec runs a statement.
func (s server) Exec(ctx context.Context, query string, args ...any) error {
	_, err := s.pool.Exec(ctx, query, args...)
	return s.noted(err)
}

// readOnly is the SQLSTATE of a write that a standby refuses.
const readOnly = "25006"

// noted drops the connections if the server has become a standby: new ones lead to who takes writes
// now, if the address does.
func (s server) noted(err error) error {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == readOnly {
		s.pool.Reset()
	}
	return err
}

// Each runs a query.
func (s server) Each(ctx context.Context, row func(scan func(into ...any) error) error, query string, args ...any) error {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return s.noted(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return s.noted(rows.Err())
}

// Atomically runs statements in one transaction.
func (s server) Atomically(ctx context.Context, do func(exec sqlpubsub.Exec) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return do(execIn(tx)) })
}

// InTx returns how to run statements in a pgx.Tx.
func (server) InTx(tx any) (sqlpubsub.Exec, bool) {
	t, ok := tx.(pgx.Tx)
	if !ok {
		return nil, false
	}
	return execIn(t), true
}

func execIn(tx pgx.Tx) sqlpubsub.Exec {
	return func(ctx context.Context, query string, args ...any) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	}
}

const (
	// pingEvery is how often the connection that listens is tried.
	pingEvery = 15 * time.Second
	// patience is how long it may take to answer, or to close.
	patience = 10 * time.Second
)

// Listen passes notices on until the connection fails. The connection is not one of the pool's, so
// that a small pool is not smaller by it.
func (s server) Listen(ctx context.Context, channel string, ring func(queue string)) error {
	taken, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := taken.Hijack()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		_ = conn.Close(ctx) // it is given up
	}()
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return err
	}
	if pid != conn.PgConn().PID() {
		return sqlpubsub.ErrNoNotices
	}
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return err
	}
	ring("") // what came before
	for {
		wait, cancel := context.WithTimeout(ctx, pingEvery)
		n, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			ring(n.Payload)
		case ctx.Err() != nil || !errors.Is(wait.Err(), context.DeadlineExceeded):
			return err
		default:
			if err := ping(ctx, conn); err != nil {
				return err
			}
		}
	}
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return conn.Ping(ctx)
}
