package sqldocstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strings"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/sqldocstore/internal/server"
)

// PostgresParams returns the URL parameters that are PostgreSQL's and its pool's own.
func PostgresParams() []string { return slices.Clone(postgresParams) }

// postgresParams are the URL parameters that go through to pgx.
var postgresParams = []string{
	"application_name", "client_encoding", "connect_timeout", "dbname", "host",
	"krbspn", "krbsrvname", "options", "passfile", "password", "port", "search_path", "service",
	"servicefile", "sslcert", "sslkey", "sslmode", "sslnegotiation", "sslpassword",
	"sslrootcert", "sslsni", "statement_timeout", "target_session_attrs", "timezone", "user",
	"pool_health_check_period", "pool_max_conn_idle_time", "pool_max_conn_lifetime",
	"pool_max_conn_lifetime_jitter", "pool_max_conns", "pool_min_conns", "pool_min_idle_conns",
}

const (
	// postgresWriters transactions commit at once: while one waits for the server's
	// disk, the other keeps the server busy.
	postgresWriters = 2
	// postgresReaders statements read single documents at once.
	postgresReaders = 2
)

// postgresDB is the backend for PostgreSQL. It works on the protocol's level: whole groups
// of rows travel as arrays that it encodes itself.
type postgresDB struct {
	*layout
	pool    server.Pool
	shared  bool // the pool is the application's
	sql     postgresSQL
	streams chan struct{} // a place for each query that keeps its connection
}

// PostgresDriver opens collections in PostgreSQL. Only NewPostgres and OpenPool refer to the code
// that does, so that the linker leaves it out of programs that call neither.
type PostgresDriver struct {
	open func(ctx context.Context, u *url.URL, l *layout) (*collection, error)
}

// NewPostgres returns a driver that connects with a client, such as postgres.Connect.
func NewPostgres(connect func(ctx context.Context, url string) (server.Pool, error)) *PostgresDriver {
	return &PostgresDriver{func(ctx context.Context, u *url.URL, l *layout) (*collection, error) {
		return openPostgres(ctx, u, l, connect)
	}}
}

func openPostgres(
	ctx context.Context, u *url.URL, l *layout, connect func(context.Context, string) (server.Pool, error),
) (*collection, error) {
	pool, err := connect(ctx, u.String())
	if wrong, ok := errors.AsType[*server.URLError](err); ok {
		return nil, invalidf("the URL is not one of PostgreSQL, such as postgres://USER@HOST/DATABASE: %v", wrong)
	}
	if err != nil {
		return nil, err
	}
	c, err := overPool(ctx, pool, l, false)
	if err != nil {
		pool.Close()
	}
	return c, err
}

// OpenPool opens a collection in PostgreSQL over the application's own pool, made of a
// *pgxpool.Pool by the function Pool of package postgres below this one. Close does not close it.
// The pool may lead to PgBouncer in transaction mode. Nothing of a connection is changed beyond a
// transaction, which costs some speed, as with a pooler. The options may be nil.
func OpenPool(ctx context.Context, pool server.Pool, opts *Options) (*docstore.Collection, error) {
	l, err := newLayout(opts)
	if err != nil {
		return nil, err
	}
	c, err := overPool(ctx, pool, l, true)
	if err != nil {
		return nil, wrapf(err, "open table %s", l.Table)
	}
	return docstore.NewCollection(c), nil
}

func overPool(ctx context.Context, pool server.Pool, l *layout, shared bool) (*collection, error) {
	conns := pool.MaxConns()
	writers := max(1, min(postgresWriters, conns-1))
	spare := max(0, conns-writers-postgresReaders)
	db := &postgresDB{layout: l, pool: pool, shared: shared, sql: newPostgresSQL(l), streams: make(chan struct{}, spare)}
	if err := db.setUp(ctx); err != nil {
		return nil, unavailable(err)
	}
	return newCollection(l, db, writers, postgresReaders, true), nil
}

// setUp makes what is missing and checks that the table has every column.
func (db *postgresDB) setUp(ctx context.Context) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err := checkPooler(ctx, conn); err != nil {
		return err
	}
	if !db.NoCreate {
		if err := db.create(ctx, conn); err != nil {
			return wrapf(unavailable(err), "create table %s", db.Table)
		}
	}
	err = conn.Describe(ctx, "SELECT "+db.all.sql+" FROM "+db.table())
	return wrapf(unavailable(err), "table %s", db.Table)
}

// checkPooler opens a transaction, which a pooler in statement mode refuses: it cannot do atomic
// writes.
func checkPooler(ctx context.Context, conn server.Conn) error {
	if !conn.Pooled() {
		return nil
	}
	_, err := conn.Exec(ctx, "BEGIN")
	if err == nil {
		_, err = conn.Exec(ctx, "ROLLBACK")
	}
	return wrapf(err, "the connection pooler must be in transaction or session mode")
}

// create makes the table, the columns and the indexes that are not there. It looks
// first: even a statement that finds nothing to do would wait for every transaction on
// the table. An advisory lock has processes that start together wait for one another.
func (db *postgresDB) create(ctx context.Context, conn server.Conn) error {
	missing, err := db.missing(ctx, conn)
	if err != nil || len(missing) == 0 {
		return err
	}
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	err = db.createMissing(ctx, conn)
	end := "COMMIT"
	if err != nil {
		end = "ROLLBACK"
	}
	if _, e := conn.Exec(ctx, end); err == nil {
		err = e
	}
	return err
}

// createMissing is the transaction that makes what is missing.
func (db *postgresDB) createMissing(ctx context.Context, conn server.Conn) error {
	h := fnv.New64a()
	h.Write([]byte("sqldocstore " + db.Table))
	if _, err := conn.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(%d)", int64(h.Sum64()))); err != nil {
		return err
	}
	missing, err := db.missing(ctx, conn)
	if err != nil {
		return err
	}
	for _, stmt := range missing {
		if _, err := conn.Exec(ctx, stmt); err != nil {
			return err
		}
	}
	return nil
}

// missing is the statements that are still to be run.
func (db *postgresDB) missing(ctx context.Context, conn server.Conn) (stmts []string, err error) {
	schema := db.schema(Postgres)
	table := "to_regclass('" + db.table() + "')" // its names are plain identifiers
	have, err := nameSet(ctx, conn, "SELECT attname FROM pg_attribute WHERE attrelid = "+table+" AND attnum > 0 AND NOT attisdropped")
	if err != nil {
		return nil, err
	}
	if len(have) == 0 {
		return schema, nil
	}
	for _, c := range db.Columns {
		if !have[c.Name] {
			stmts = append(stmts, db.addColumnSQL(Postgres, c))
		}
	}
	indexes, err := nameSet(ctx, conn, "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = "+table)
	if err != nil {
		return nil, err
	}
	for i, index := range db.Indexes {
		if !indexes[db.indexName(index)] {
			stmts = append(stmts, schema[1+i])
		}
	}
	return stmts, nil
}

func nameSet(ctx context.Context, conn server.Conn, sql string) (map[string]bool, error) {
	rows, err := conn.Exec(ctx, sql)
	set := map[string]bool{}
	for _, r := range rows {
		set[string(r[0])] = true
	}
	return set, err
}

func (db *postgresDB) dialect() Dialect { return Postgres }

// as gives out the client's own pool, such as a *pgxpool.Pool.
func (db *postgresDB) as(i any) bool { return db.pool.As(i) }

// inTx takes a transaction of the client, such as a pgx.Tx.
func (db *postgresDB) inTx(tx any) (txStatements, bool) {
	t, ok := db.pool.InTx(tx)
	return serverTx{t}, ok
}

// close implements backend. Queries that are still open close their connections when
// they are stopped.
func (db *postgresDB) close() error {
	if db.shared {
		return nil
	}
	closed := make(chan struct{})
	go func() {
		db.pool.Close() // waits for every connection
		close(closed)
	}()
	if len(db.streams) == 0 {
		<-closed
	}
	return nil
}

// unavailable marks an error that says nothing of the statement: the server could not
// be reached, went away, is starting, or is a standby now.
func unavailable(err error) error {
	var op *opError
	if err == nil || isContextError(err) || errors.As(err, &op) || errors.Is(err, ErrUnavailable) {
		return err
	}
	if code := sqlState(err); code != "" && !strings.HasPrefix(code, "08") && !strings.HasPrefix(code, "57P") && code != readOnly &&
		code != lockTimeout {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

const (
	readOnly    = "25006" // the SQLSTATE of a write that a standby refuses
	lockTimeout = "55P03" // and of one that waited too long for another transaction's lock
)

// demoted reports whether a server refuses to write because it has become a standby.
func demoted(err error) bool { return sqlState(err) == readOnly }

// sqlState is the SQLSTATE of an error of PostgreSQL, "" of others.
func sqlState(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

func unreachable(err error) bool { return errors.Is(err, ErrUnavailable) }

// postgresCode is the gcerrors code of an error of PostgreSQL.
func postgresCode(err error) (gcerrors.ErrorCode, bool) {
	code := sqlState(err)
	if len(code) < 2 {
		return 0, false
	}
	switch {
	case code == "42501", code[:2] == "28":
		return gcerrors.PermissionDenied, true
	case code == "57014":
		return gcerrors.DeadlineExceeded, true
	case code[:2] == "53":
		return gcerrors.ResourceExhausted, true
	case code[:2] == "54", code[:2] == "22":
		return gcerrors.InvalidArgument, true
	case code[:2] == "23":
		return gcerrors.FailedPrecondition, true
	}
	return gcerrors.Internal, true
}
