// Package postgres is the client of PostgreSQL for package sqldocstore, made with pgx. A program that
// opens collections in PostgreSQL passes [Connect] to [sqldocstore.NewPostgres]; a program that does
// not links no pgx.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/piecework/piecework/store/sqldocstore/internal/server"
)

// defaultConns is how many connections there are at most if the URL does not say so.
const defaultConns = 12

// Connect returns a pool of connections to the server that a URL names. It dials when a connection is
// acquired.
func Connect(ctx context.Context, url string) (server.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, &server.URLError{Reason: Reason(err)}
	}
	if !strings.Contains(url, "pool_max_conns=") {
		config.MaxConns = defaultConns
	}
	config.AfterConnect = setUpConn
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // prepares nothing on the server
	p, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return Pool(p), nil
}

// Reason is an error of parsing a URL without the URL, which may have a password.
func Reason(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	_, text, ok := strings.Cut(err.Error(), "`: ") // pgx: cannot parse `URL`: TEXT
	if !ok || strings.Contains(text, "@") {
		text = "its host, port or parameters cannot be read"
	}
	return errors.New(text)
}

// Pool is an application's own pool, for [sqldocstore.OpenPool].
func Pool(p *pgxpool.Pool) server.Pool { return pool{p} }

// planner is how statements are planned. They are few and always the same, so that one plan each is
// enough; and they must use the indexes from the first document on, when the table has no
// statistics yet that would tell the planner so.
var planner = [][2]string{
	{"plan_cache_mode", "force_generic_plan"}, {"jit", "off"}, {"enable_seqscan", "off"}, {"enable_bitmapscan", "off"},
	{"enable_sort", "off"}, {"enable_hashjoin", "off"}, {"enable_mergejoin", "off"}, {"enable_material", "off"},
	{"lock_timeout", "250ms"}, // a transaction of the application may lock a document for long; see sqldocstore's isolate
}

// plannerSQL is the statement that sets planner, for the session or for the transaction only.
func plannerSQL(transaction bool) string {
	calls := make([]string, len(planner))
	for i, p := range planner {
		calls[i] = fmt.Sprintf("set_config('%s', '%s', %t)", p[0], p[1], transaction)
	}
	return "SELECT " + strings.Join(calls, ", ")
}

// transactionPlannerSQL goes before the statements of a transaction on a pooled connection.
var transactionPlannerSQL = plannerSQL(true)

// pooledKey marks a pooled connection in its custom data.
const pooledKey = "sqldocstore: pooled"

// setUpConn finds out whether a connection is pooled: whether it leads to a pooler such as
// PgBouncer, which gives each transaction to any of its connections to the server. Nothing may then
// outlive a transaction, neither a setting nor a prepared statement. The process that the pooler
// names in the handshake is not the process that runs the statements; so a direct connection sets
// its session up, and a pooled one changes nothing, in one statement.
func setUpConn(ctx context.Context, conn *pgx.Conn) error {
	sql := fmt.Sprintf("%s WHERE pg_backend_pid() = %d", plannerSQL(false), conn.PgConn().PID())
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return err
	}
	conn.PgConn().CustomData()[pooledKey] = len(results[0].Rows) == 0
	return nil
}

type pool struct{ *pgxpool.Pool }

// Acquire implements [server.Pool].
func (p pool) Acquire(ctx context.Context) (server.Conn, error) {
	c, err := p.Pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return conn{c}, nil
}

// MaxConns implements [server.Pool].
func (p pool) MaxConns() int { return int(p.Config().MaxConns) }

// As gives out the *pgxpool.Pool.
func (p pool) As(i any) bool {
	to, ok := i.(**pgxpool.Pool)
	if ok {
		*to = p.Pool
	}
	return ok
}

// InTx implements [server.Pool].
func (p pool) InTx(t any) (server.Tx, bool) {
	in, ok := t.(pgx.Tx)
	return tx{in}, ok
}

// tx is a transaction of the application.
type tx struct{ pgx.Tx }

// Run implements [server.Tx].
func (t tx) Run(ctx context.Context, query string, args []any) (int64, error) {
	tag, err := t.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

// Each implements [server.Tx].
func (t tx) Each(ctx context.Context, f func(row []any) error, query string, args []any) error {
	rows, err := t.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		found, err := rows.Values()
		if err != nil {
			return err
		}
		if err := f(found); err != nil {
			return err
		}
	}
	return rows.Err()
}

type conn struct{ *pgxpool.Conn }

func (c conn) pg() *pgconn.PgConn { return c.Conn.Conn().PgConn() }

// Pooled implements [server.Conn]. A connection of the application's own pool, which this package
// has not set up, is used as if it led to a pooler, so that no setting of it changes.
func (c conn) Pooled() bool {
	pooled, known := c.pg().CustomData()[pooledKey]
	return !known || pooled == true
}

// Exec implements [server.Conn].
func (c conn) Exec(ctx context.Context, sql string) ([][][]byte, error) {
	results, err := c.pg().Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	return results[0].Rows, nil
}

// Describe implements [server.Conn].
func (c conn) Describe(ctx context.Context, sql string) error {
	_, err := c.pg().Prepare(ctx, "", sql, nil)
	return err
}

// Kill implements [server.Conn].
func (c conn) Kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // do not wait for the server
	_ = c.pg().Close(ctx)
}

// Batch implements [server.Conn].
func (c conn) Batch() server.Batch {
	b := &batch{conn: c, pooled: c.Pooled()}
	if b.pooled {
		b.ExecParams(transactionPlannerSQL, nil, nil, nil, nil)
	}
	return b
}

// batch is statements that are sent together, in one transaction.
type batch struct {
	pgconn.Batch

	conn   conn
	pooled bool
}

// binaryFormat says that all parameters, or all result columns, are in binary form.
var binaryFormat = []int16{1}

// Add implements [server.Batch].
func (b *batch) Add(ctx context.Context, sql string, args [][]byte, oids []uint32) error {
	if b.pooled {
		b.ExecParams(sql, args, oids, binaryFormat, binaryFormat)
		return nil
	}
	sd, err := b.conn.Conn.Conn().Prepare(ctx, sql, sql)
	if err == nil {
		b.ExecStatement(sd, args, binaryFormat, binaryFormat)
	}
	return err
}

// Begin implements [server.Batch].
func (b *batch) Begin() { b.ExecParams("BEGIN", nil, nil, nil, nil) }

// Send implements [server.Batch].
func (b *batch) Send(ctx context.Context) server.Results {
	res := &results{all: b.conn.pg().ExecBatch(ctx, &b.Batch)}
	if b.pooled && res.all.NextResult() {
		_, _ = res.all.ResultReader().Close() // the results' Close has the error
	}
	return res
}

type results struct {
	all *pgconn.MultiResultReader
	one *pgconn.ResultReader // nil before the first result and after an error
}

// Next implements [server.Results].
func (r *results) Next() bool {
	r.one = nil
	if r.all.NextResult() {
		r.one = r.all.ResultReader()
	}
	return r.one != nil
}

// NextRow implements [server.Results].
func (r *results) NextRow() bool { return r.one != nil && r.one.NextRow() }

// Values implements [server.Results].
func (r *results) Values() [][]byte { return r.one.Values() }

// Close implements [server.Results].
func (r *results) Close() error {
	if r.one != nil {
		_, _ = r.one.Close() // the error is the results' too
	}
	return r.all.Close()
}
