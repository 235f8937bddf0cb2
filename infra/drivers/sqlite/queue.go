package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/pubsubq/sqlpubsub"
	"github.com/piecework/piecework/store/sqldocstore"
)

// queueOptions are the options of the queues beside the records of a table. Hints may be lost,
// since sweep sends them again; submissions may not.
func queueOptions(table, schema string) *sqlpubsub.Options {
	return &sqlpubsub.Options{Prefix: table, Schema: schema, Transient: func(queue string) bool { return queue != functions.SubmitQueue }}
}

// openQueue opens the queues of a URL, whose other parameters the store checks when they are its
// own.
func (d Database) openQueue(ctx context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	if a.Scheme == sqldocstore.SchemeSQLite && File(a.Raw()) == "" { // in the memory of this process
		return mem.NewQueue(log), nil
	}
	opts := queueOptions(a.Params.String("table", d.Options().Table), a.Params.String("schema", ""))
	opts.NoCreate = !a.Params.Bool("create", true)
	opts.Timeout = a.Params.Duration("busy_timeout", 0, 0, time.Hour)
	opts.OnError = func(err error) {
		log.LogAttrs(context.Background(), slog.LevelWarn, "the queues in the database fail; they are tried again", slog.Any("error", err))
	}
	_ = a.Params.Rest(append(sqldocstore.Params(), layout...)...)
	q, closeAll, err := d.Queues(ctx, a, opts)
	if err != nil {
		if text := remedy(a, err); text != "" {
			err = fmt.Errorf("%s: %w", text, err)
		}
		return nil, err
	}
	return drivers.NewQueue(drivers.Broker{Direct: q, InTx: q.InTx, Close: func(context.Context) error { return closeAll() }}, log), nil
}

func openFile(ctx context.Context, a *drivers.Address, opts *sqlpubsub.Options) (*sqlpubsub.Queues, func() error, error) {
	if err := a.Check(); err != nil {
		return nil, nil, err
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: File(a.Raw())}).EscapedPath()+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
	if err != nil {
		return nil, nil, err
	}
	q, err := sqlpubsub.OpenDB(ctx, db, opts)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return q, func() error { return errors.Join(q.Close(), db.Close()) }, nil
}
