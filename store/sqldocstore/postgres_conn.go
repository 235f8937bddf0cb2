package sqldocstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// planner is how statements are planned. They are few and always the same, so that one plan each is
// enough; and they must use the indexes from the first document on, when the table has no
// statistics yet that would tell the planner so.
var planner = [][2]string{
	{"plan_cache_mode", "force_generic_plan"}, {"jit", "off"}, {"enable_seqscan", "off"}, {"enable_bitmapscan", "off"},
	{"enable_sort", "off"}, {"enable_hashjoin", "off"}, {"enable_mergejoin", "off"}, {"enable_material", "off"},
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

// pooled reports whether a connection leads to a pooler. One of the application's own pool, which
// this package has not set up, is used as if it did, so that no setting of it changes.
func pooled(conn *pgx.Conn) bool {
	pooled, known := conn.PgConn().CustomData()[pooledKey]
	return !known || pooled == true
}

// checkPooler opens a transaction, which a pooler in statement mode refuses: it cannot do atomic
// writes.
func checkPooler(ctx context.Context, conn *pgx.Conn) error {
	if !pooled(conn) {
		return nil
	}
	err := conn.PgConn().Exec(ctx, "BEGIN").Close()
	if err == nil {
		err = conn.PgConn().Exec(ctx, "ROLLBACK").Close()
	}
	return wrapf(err, "the connection pooler must be in transaction or session mode")
}

// pgBatch is statements that are sent together, in one transaction.
type pgBatch struct {
	pgconn.Batch
	conn   *pgx.Conn
	pooled bool
}

func newPgBatch(conn *pgx.Conn) *pgBatch {
	b := &pgBatch{conn: conn, pooled: pooled(conn)}
	if b.pooled {
		b.ExecParams(transactionPlannerSQL, nil, nil, nil, nil)
	}
	return b
}

// add adds a statement. A direct connection has it prepared, once.
func (b *pgBatch) add(ctx context.Context, sql string, args [][]byte, oids []uint32) error {
	if b.pooled {
		b.ExecParams(sql, args, oids, binaryFormat, binaryFormat)
		return nil
	}
	sd, err := b.conn.Prepare(ctx, sql, sql)
	if err == nil {
		b.ExecStatement(sd, args, binaryFormat, binaryFormat)
	}
	return err
}

// send sends the statements. The results come in the order of the statements.
func (b *pgBatch) send(ctx context.Context) *pgconn.MultiResultReader {
	res := b.conn.PgConn().ExecBatch(ctx, &b.Batch)
	if b.pooled && res.NextResult() {
		_, _ = res.ResultReader().Close() // the results' Close has the error
	}
	return res
}

// pgRows is the rows of one statement.
type pgRows struct {
	res  *pgconn.MultiResultReader
	rows *pgconn.ResultReader // nil after an error
}

// queryRows sends one statement.
func queryRows(ctx context.Context, conn *pgx.Conn, sql string, args [][]byte, oids []uint32) (*pgRows, error) {
	b := newPgBatch(conn)
	if err := b.add(ctx, sql, args, oids); err != nil {
		return nil, err
	}
	r := &pgRows{res: b.send(ctx)}
	if r.res.NextResult() {
		r.rows = r.res.ResultReader()
	}
	return r, nil
}

// next reports whether there is one more row.
func (r *pgRows) next() bool { return r.rows != nil && r.rows.NextRow() }

// values is the row. It is valid until the next call of next.
func (r *pgRows) values() [][]byte { return r.rows.Values() }

// close reads the remaining rows and returns the statement's error.
func (r *pgRows) close() error {
	if r.rows != nil {
		_, _ = r.rows.Close() // the error is the results' too
	}
	return r.res.Close()
}
