package sqldocstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
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
	postgresConns   = 12
)

// postgresDB is the backend for PostgreSQL. It works on pgx's lower layer: whole groups
// of rows travel as arrays that it encodes itself.
type postgresDB struct {
	*layout
	pool    *pgxpool.Pool
	shared  bool // the pool is the application's
	sql     postgresSQL
	streams chan struct{} // a place for each query that keeps its connection
}

func openPostgres(ctx context.Context, u *url.URL, l *layout) (*collection, error) {
	config, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		return nil, invalidf("the URL is not one of PostgreSQL, such as postgres://USER@HOST/DATABASE: %v", errors.Unwrap(err))
	}
	if !u.Query().Has("pool_max_conns") {
		config.MaxConns = postgresConns
	}
	config.AfterConnect = setUpConn
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // prepares nothing on the server
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	c, err := overPool(ctx, pool, l, false)
	if err != nil {
		pool.Close()
	}
	return c, err
}

// OpenPool opens a collection in PostgreSQL over the application's own pool, which Close does not
// close. The pool may lead to PgBouncer in transaction mode. Nothing of a connection is changed
// beyond a transaction, which costs some speed, as with a pooler. The options may be nil.
func OpenPool(ctx context.Context, pool *pgxpool.Pool, opts *Options) (*docstore.Collection, error) {
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

func overPool(ctx context.Context, pool *pgxpool.Pool, l *layout, shared bool) (*collection, error) {
	conns := int(pool.Config().MaxConns)
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
	if err := checkPooler(ctx, conn.Conn()); err != nil {
		return err
	}
	if !db.NoCreate {
		if err := db.create(ctx, conn.Conn()); err != nil {
			return wrapf(unavailable(err), "create table %s", db.Table)
		}
	}
	_, err = conn.Conn().PgConn().Prepare(ctx, "", "SELECT "+db.all.sql+" FROM "+db.table(), nil)
	return wrapf(unavailable(err), "table %s", db.Table)
}

// create makes the table, the columns and the indexes that are not there. It looks
// first: even a statement that finds nothing to do would wait for every transaction on
// the table. An advisory lock has processes that start together wait for one another.
func (db *postgresDB) create(ctx context.Context, conn *pgx.Conn) error {
	missing, err := db.missing(ctx, conn)
	if err != nil || len(missing) == 0 {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		h := fnv.New64a()
		h.Write([]byte("sqldocstore " + db.Table))
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(h.Sum64())); err != nil {
			return err
		}
		missing, err := db.missing(ctx, conn)
		if err != nil {
			return err
		}
		for _, stmt := range missing {
			if _, err := tx.Exec(ctx, stmt); err != nil {
				return err
			}
		}
		return nil
	})
}

// missing is the statements that are still to be run.
func (db *postgresDB) missing(ctx context.Context, conn *pgx.Conn) (stmts []string, err error) {
	schema := db.schema(Postgres)
	have, err := nameSet(ctx, conn, `SELECT attname FROM pg_attribute
		WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`, db.table())
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
	indexes, err := nameSet(ctx, conn, `SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE i.indrelid = to_regclass($1)`, db.table())
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

func nameSet(ctx context.Context, conn *pgx.Conn, sql string, args ...any) (map[string]bool, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	set := map[string]bool{}
	for _, n := range names {
		set[n] = true
	}
	return set, err
}

func (db *postgresDB) dialect() Dialect { return Postgres }

// as gives out the *pgxpool.Pool.
func (db *postgresDB) as(i any) bool {
	p, ok := i.(**pgxpool.Pool)
	if ok {
		*p = db.pool
	}
	return ok
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
	var pg *pgconn.PgError
	if err == nil || isContextError(err) || errors.As(err, &op) || errors.Is(err, ErrUnavailable) {
		return err
	}
	if errors.As(err, &pg) && !strings.HasPrefix(pg.Code, "08") && !strings.HasPrefix(pg.Code, "57P") && pg.Code != readOnly {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// readOnly is the SQLSTATE of a write that a standby refuses.
const readOnly = "25006"

// demoted reports whether a server refuses to write because it has become a standby.
func demoted(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == readOnly
}

func unreachable(err error) bool { return errors.Is(err, ErrUnavailable) }

// postgresCode is the gcerrors code of an error of PostgreSQL.
func postgresCode(err error) (gcerrors.ErrorCode, bool) {
	var e *pgconn.PgError
	if !errors.As(err, &e) || len(e.Code) < 2 {
		return 0, false
	}
	switch {
	case e.Code == "42501", e.Code[:2] == "28":
		return gcerrors.PermissionDenied, true
	case e.Code == "57014":
		return gcerrors.DeadlineExceeded, true
	case e.Code[:2] == "53":
		return gcerrors.ResourceExhausted, true
	case e.Code[:2] == "54", e.Code[:2] == "22":
		return gcerrors.InvalidArgument, true
	case e.Code[:2] == "23":
		return gcerrors.FailedPrecondition, true
	}
	return gcerrors.Internal, true
}
