package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/pubsubq/sqlpubsub"
	sqlpostgres "github.com/piecework/piecework/pubsubq/sqlpubsub/postgres"
	"github.com/piecework/piecework/store/sqldocstore"
)

// queueConns is how many connections the queues of a process have to PostgreSQL, but for the one
// that listens.
const queueConns = 4

// queueOptions are the options of the queues beside the records of a table. Hints may be lost,
// since sweep sends them again; submissions may not.
func queueOptions(table, schema string) *sqlpubsub.Options {
	return &sqlpubsub.Options{Prefix: table, Schema: schema, Transient: func(queue string) bool { return queue != functions.SubmitQueue }}
}

func openQueue(ctx context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	if a.Scheme == sqldocstore.SchemeSQLite && File(a.Raw()) == "" { // in the memory of this process
		q := memqueue.New(nil)
		return drivers.NewQueue(drivers.Broker{Direct: q, Close: func(context.Context) error { return q.Close() }}, log), nil
	}
	opts := queueOptions(a.Params.String("table", Options().Table), a.Params.String("schema", ""))
	opts.NoCreate = !a.Params.Bool("create", true)
	opts.Timeout = a.Params.Duration("busy_timeout", 0, 0, time.Hour)
	opts.OnError = func(err error) {
		log.LogAttrs(context.Background(), slog.LevelWarn, "the queues in the database cannot be reached; they are tried again", slog.Any("error", err))
	}
	q, closeAll, err := openQueues(ctx, a, opts)
	if err != nil {
		if text := remedy(a, err); text != "" {
			err = fmt.Errorf("%s: %w", text, err)
		}
		return nil, err
	}
	return drivers.NewQueue(drivers.Broker{Direct: q, InTx: q.InTx, Close: func(context.Context) error { return closeAll() }}, log), nil
}

// openQueues opens the queues of a URL, whose other parameters the store checks when they are its
// own.
func openQueues(ctx context.Context, a *drivers.Address, opts *sqlpubsub.Options) (*sqlpubsub.Queues, func() error, error) {
	_ = a.Params.Rest(append(sqldocstore.Params(), layout...)...)
	if a.Scheme == sqldocstore.SchemeSQLite {
		if err := a.Check(); err != nil {
			return nil, nil, err
		}
		return openFile(ctx, File(a.Raw()), opts)
	}
	server := a.Params.Rest(sqldocstore.PostgresParams()...)
	if err := a.Check(); err != nil {
		return nil, nil, err
	}
	u, err := url.Parse(a.Raw())
	if err != nil {
		return nil, nil, a.Errorf("it cannot be parsed")
	}
	u.RawQuery = server.Encode()
	config, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		return nil, nil, a.Errorf("it is not one of PostgreSQL, such as postgres://USER@HOST/DATABASE: %w", errors.Unwrap(err))
	}
	config.MaxConns = queueConns
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // prepares nothing, as poolers need it
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	q, err := sqlpostgres.OpenPool(ctx, pool, opts)
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return q, func() error { defer pool.Close(); return q.Close() }, nil
}

func openFile(ctx context.Context, file string, opts *sqlpubsub.Options) (*sqlpubsub.Queues, func() error, error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
	if err != nil {
		return nil, nil, err
	}
	q, err := sqlpubsub.OpenDB(ctx, db, opts)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return q, func() error { return errors.Join(q.Close(), db.Close()) }, nil
}
