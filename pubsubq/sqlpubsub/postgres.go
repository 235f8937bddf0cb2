package sqlpubsub

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"
)

// Server is a client of a PostgreSQL server. Package sqlpubsub/postgres has one.
type Server interface {
	// Exec runs a statement that is a transaction of its own.
	Exec(ctx context.Context, query string, args ...any) error
	// Each runs a query, and calls row with what scans each row.
	Each(ctx context.Context, row func(scan func(into ...any) error) error, query string, args ...any) error
	// Atomically runs statements in one transaction, which is rolled back if do returns an error.
	Atomically(ctx context.Context, do func(exec Exec) error) error
	// InTx returns how to run statements in a transaction of the client's library, and false for
	// something else.
	InTx(tx any) (Exec, bool)
	// Listen calls ring with the payload of each notice on a channel, and with "" when it has begun
	// to listen, until the connection fails or ctx ends. It returns ErrNoNotices if the connection
	// leads to a pooler that does not pass notices on.
	Listen(ctx context.Context, channel string, ring func(queue string)) error
}

// Exec runs a statement.
type Exec func(ctx context.Context, query string, args ...any) error

// ErrNoNotices says that a connection pooler passes no notices on.
var ErrNoNotices = errors.New("a connection pooler passes no notices on")

// OpenServer opens queues in PostgreSQL, and creates the tables if they are missing. Close does not
// close the client. The options may be nil. Programs call OpenPool of package sqlpubsub/postgres.
func OpenServer(ctx context.Context, server Server, opts *Options) (*Queues, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return open(ctx, &postgresDB{server: server, channel: channel(o), onError: o.OnError}, o, postgresDialect)
}

// postgresDB is PostgreSQL. Its times are the server's.
type postgresDB struct {
	server  Server
	channel string
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

// create looks first, because CREATE TABLE needs more rights than a role may have, even if the table
// exists. An advisory lock has processes that start together wait for one
// another, because IF NOT EXISTS fails if both find nothing.
func (p *postgresDB) create(ctx context.Context, statements []string, tables [2]*table) error {
	there := 0
	for _, t := range tables {
		err := p.server.Each(ctx, func(scan func(...any) error) error { return scan(&there) },
			"SELECT $2::int + (to_regclass($1) IS NOT NULL)::int", t.name, there)
		if err != nil {
			return err
		}
	}
	if there == len(tables) {
		return nil
	}
	return p.server.Atomically(ctx, func(exec Exec) error {
		h := fnv.New64a()
		h.Write([]byte("sqlpubsub " + p.channel))
		err := exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(h.Sum64()))
		for _, s := range statements {
			if err == nil {
				err = exec(ctx, s)
			}
		}
		return err
	})
}

func (p *postgresDB) insert(ctx context.Context, t *table, queue string, rows []row) error {
	return p.insertBy(ctx, p.server.Exec, t, queue, rows)
}

func (p *postgresDB) insertBy(ctx context.Context, run Exec, t *table, queue string, rows []row) error {
	n := len(rows)
	due, ids, tries, bodies, metas := make([]int64, n), make([]int64, n), make([]int64, n), make([][]byte, n), make([][]byte, n)
	for i, r := range rows {
		due[i], ids[i], tries[i], bodies[i], metas[i] = r.due, r.id, r.tries, r.body, r.meta
	}
	return run(ctx, t.insert, queue, p.channel, due, ids, tries, bodies, metas)
}

func (p *postgresDB) inTx(tx any) (Exec, error) {
	if exec, ok := p.server.InTx(tx); ok {
		return exec, nil
	}
	return inSQLTx(tx)
}

func (p *postgresDB) take(ctx context.Context, t *table, queue string, most int) (rows []row, wait time.Duration, err error) {
	args := []any{queue, most}
	if !t.transient {
		args = append(args, t.hide)
	}
	err = p.server.Each(ctx, func(scan func(...any) error) error {
		var r row
		err := scan(&r.due, &r.id, &r.tries, &r.body, &r.meta)
		rows = append(rows, r)
		return err
	}, t.take, args...)
	if err == nil && len(rows) == 0 {
		wait, err = p.next(ctx, t, queue)
	}
	return rows, wait, err
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
	return p.server.Exec(ctx, t.remove, queue, due, ids)
}

func (p *postgresDB) giveBack(ctx context.Context, t *table, queue string, rows []row) error {
	due, ids := receipts(rows)
	return p.server.Exec(ctx, t.giveBack, queue, p.channel, due, ids)
}

func (p *postgresDB) next(ctx context.Context, t *table, queue string) (wait time.Duration, err error) {
	wait = never
	err = p.server.Each(ctx, func(scan func(...any) error) error {
		var micros int64
		err := scan(&micros)
		wait = time.Duration(micros) * time.Microsecond
		return err
	}, t.next, queue)
	return wait, err
}

// senders is two: while one waits for the server's disk, the other keeps the server busy.
func (p *postgresDB) senders() int { return 2 }

func (p *postgresDB) close() error { return nil }

const (
	// relistenAfter is how long to wait after the connection that listens was lost.
	relistenAfter = time.Second
	// pollPooled is how often receivers look behind a connection pooler, which passes no notices on.
	pollPooled = 200 * time.Millisecond
)

// watch listens for notices. Without them it rings for all queues at short intervals.
func (p *postgresDB) watch(ctx context.Context, ring func(queue string)) {
	pooled := false
	for ctx.Err() == nil {
		if !pooled {
			err := p.server.Listen(ctx, p.channel, ring)
			if pooled = errors.Is(err, ErrNoNotices); !pooled && ctx.Err() == nil {
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
