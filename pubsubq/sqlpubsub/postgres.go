package sqlpubsub

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgresDB is PostgreSQL. Its times are the server's.
type postgresDB struct {
	pool    *pgxpool.Pool
	channel string
	timeout time.Duration
	onError func(error)
}

// channel returns the channel of notices. Tables of the same name in two schemas share it, which
// costs their receivers a look.
func channel(o Options) string { return o.Prefix + "_messages" }

// The statements of PostgreSQL. A notice is sent when the transaction of its message commits.
//
// Rows are found by their place (ctid): they are locked, so it cannot change within the statement,
// and no statistics can lead the planner to another way.
const (
	postgresNow = `(extract(epoch FROM now()) * 1000000)::bigint`
	postgresDue = `ARRAY(SELECT ctid FROM TABLE WHERE "queue" = $1 AND "due" <= NOW ORDER BY "due", "id" LIMIT $2 FOR UPDATE SKIP LOCKED)`

	postgresInsert = `WITH sent AS (INSERT INTO TABLE ("queue", "due", "id", "tries", "body", "meta") ` +
		`SELECT $1, NOW + d, i, n, b, m FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[]) AS u (d, i, n, b, m) RETURNING 1) ` +
		`SELECT pg_notify($2, $1) FROM (SELECT count(*) FROM sent) AS c`
	postgresTake = `DELETE FROM TABLE WHERE ctid = ANY(` + postgresDue + `) RETURNING "due", "id", "tries" + 1, "body", "meta"`
	postgresHide = `UPDATE TABLE SET "due" = NOW + $3, "tries" = "tries" + 1 WHERE ctid = ANY(` + postgresDue +
		`) RETURNING "due", "id", "tries", "body", "meta"`
	postgresRemove = `DELETE FROM TABLE AS t USING unnest($2::bigint[], $3::bigint[]) AS u (d, i) ` +
		`WHERE t."queue" = $1 AND t."due" = u.d AND t."id" = u.i`
	postgresGiveBack = `WITH back AS (UPDATE TABLE AS t SET "due" = NOW FROM unnest($3::bigint[], $4::bigint[]) AS u (d, i) ` +
		`WHERE t."queue" = $1 AND t."due" = u.d AND t."id" = u.i RETURNING 1) ` +
		`SELECT pg_notify($2, $1) FROM (SELECT count(*) FROM back) AS c`
	postgresNext = `SELECT "due" - NOW FROM TABLE WHERE "queue" = $1 ORDER BY "due" LIMIT 1`
)

func postgresStatements(t *table) {
	for into, text := range map[*string]string{
		&t.insert: postgresInsert, &t.take: postgresTake, &t.remove: postgresRemove, &t.giveBack: postgresGiveBack, &t.next: postgresNext,
	} {
		if into == &t.take && !t.transient {
			text = postgresHide
		}
		*into = fill(text, t.name, postgresNow)
	}
}

// create creates the tables. An advisory lock has processes that start together wait for one
// another, because IF NOT EXISTS fails if both find nothing.
func (p *postgresDB) create(ctx context.Context, statements []string) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		h := fnv.New64a()
		h.Write([]byte("sqlpubsub " + p.channel))
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(h.Sum64())); err != nil {
			return err
		}
		for _, s := range statements {
			if _, err := tx.Exec(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *postgresDB) insert(ctx context.Context, t *table, queue string, rows []row) error {
	run := func(ctx context.Context, query string, args ...any) error {
		_, err := p.pool.Exec(ctx, query, args...)
		return err
	}
	return p.insertBy(ctx, run, t, queue, rows)
}

func (p *postgresDB) insertBy(ctx context.Context, run exec, t *table, queue string, rows []row) error {
	n := len(rows)
	due, ids, tries, bodies, metas := make([]int64, n), make([]int64, n), make([]int64, n), make([][]byte, n), make([][]byte, n)
	for i, r := range rows {
		due[i], ids[i], tries[i], bodies[i], metas[i] = r.due, r.id, r.tries, r.body, r.meta
	}
	return run(ctx, t.insert, queue, p.channel, due, ids, tries, bodies, metas)
}

func (p *postgresDB) take(ctx context.Context, t *table, queue string, most int) ([]row, error) {
	args := []any{queue, most}
	if !t.transient {
		args = append(args, t.hide)
	}
	found, err := p.pool.Query(ctx, t.take, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(c pgx.CollectableRow) (r row, err error) {
		return r, c.Scan(&r.due, &r.id, &r.tries, &r.body, &r.meta)
	})
}

// receipts are two columns of receipts.
func receipts(rows []row) (due, ids []int64) {
	for _, r := range rows {
		due, ids = append(due, r.due), append(ids, r.id)
	}
	return due, ids
}

func (p *postgresDB) remove(ctx context.Context, t *table, queue string, rows []row) error {
	due, ids := receipts(rows)
	_, err := p.pool.Exec(ctx, t.remove, queue, due, ids)
	return err
}

func (p *postgresDB) giveBack(ctx context.Context, t *table, queue string, rows []row) error {
	due, ids := receipts(rows)
	_, err := p.pool.Exec(ctx, t.giveBack, queue, p.channel, due, ids)
	return err
}

func (p *postgresDB) next(ctx context.Context, t *table, queue string) (time.Duration, bool, error) {
	var micros int64
	err := p.pool.QueryRow(ctx, t.next, queue).Scan(&micros)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	return time.Duration(micros) * time.Microsecond, err == nil, err
}

// senders is two: while one waits for the server's disk, the other keeps the server busy.
func (p *postgresDB) senders() int { return 2 }

func (p *postgresDB) close() error { return nil }

const (
	// relistenAfter is how long to wait after the connection that listens was lost.
	relistenAfter = time.Second
	// pollPooled is how often receivers look behind a connection pooler, which passes no notices on.
	pollPooled = 200 * time.Millisecond
	// pingEvery is how often the connection that listens is tried.
	pingEvery = 15 * time.Second
)

// errPooled says that a connection leads to a pooler in transaction mode.
var errPooled = errors.New("a connection pooler passes no notices on")

// watch listens for notices. Without them it rings for all queues at short intervals.
func (p *postgresDB) watch(ctx context.Context, ring func(queue string)) {
	pooled := false
	for ctx.Err() == nil {
		if !pooled {
			err := p.listen(ctx, ring)
			if pooled = errors.Is(err, errPooled); !pooled && ctx.Err() == nil {
				p.onError(fmt.Errorf("listen for messages: %w", err))
			}
		}
		ring("") // what came while nobody listened
		wait := relistenAfter
		if pooled {
			wait = pollPooled
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// listen passes notices on until the connection fails. The connection is not one of the pool's, so
// that a small pool is not smaller by it.
func (p *postgresDB) listen(ctx context.Context, ring func(queue string)) error {
	pooledConn, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooledConn.Hijack()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
		defer cancel()
		_ = conn.Close(ctx) // it is given up
	}()
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return err
	}
	if pid != conn.PgConn().PID() {
		return errPooled
	}
	if _, err := conn.Exec(ctx, "LISTEN "+quote(p.channel)); err != nil {
		return err
	}
	ring("")
	for {
		wait, cancel := context.WithTimeout(ctx, pingEvery)
		n, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			ring(n.Payload)
		case ctx.Err() != nil:
			return ctx.Err()
		case wait.Err() == nil:
			return err
		default:
			ping, cancel := context.WithTimeout(ctx, p.timeout)
			err := conn.Ping(ping)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}
