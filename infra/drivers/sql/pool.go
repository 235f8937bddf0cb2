package sql

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/sqlite"
	"github.com/piecework/piecework/pubsubq/sqlpubsub"
	sqlpostgres "github.com/piecework/piecework/pubsubq/sqlpubsub/postgres"
	"github.com/piecework/piecework/store/sqldocstore"
	"github.com/piecework/piecework/store/sqldocstore/postgres"
)

// SchemePool is the scheme that [Over] registers.
const SchemePool = "pool"

// Over returns a function that registers the store and the queues pool://, which are in PostgreSQL
// over the application's own pool of connections. The URL may have the parameters table, schema,
// create, write_timeout and max_batch. The pool may lead to PgBouncer in transaction mode, and its
// connections stay as they are. Closing the store and the queues does not close it. Give it at least
// three connections; the queues have one more, which listens.
func Over(pool *pgxpool.Pool) func(*drivers.Set) {
	d := sqlite.Database{
		Options: Options,
		Store: func(ctx context.Context, a *drivers.Address) (*docstore.Collection, error) {
			o := Options()
			o.Table, o.Schema = a.Params.String("table", o.Table), a.Params.String("schema", "")
			o.NoCreate = !a.Params.Bool("create", true)
			o.WriteTimeout = a.Params.Duration("write_timeout", 0, time.Millisecond, time.Hour)
			o.MaxBatch = a.Params.Int("max_batch", 0, 1, 100_000)
			if err := a.Check(); err != nil {
				return nil, err
			}
			return sqldocstore.OpenPool(ctx, postgres.Pool(pool), o)
		},
		Queues: func(ctx context.Context, a *drivers.Address, opts *sqlpubsub.Options) (*sqlpubsub.Queues, func() error, error) {
			if err := a.Check(); err != nil {
				return nil, nil, err
			}
			q, err := sqlpostgres.OpenPool(ctx, pool, opts)
			if err != nil {
				return nil, nil, err
			}
			return q, q.Close, nil
		},
	}
	return func(s *drivers.Set) {
		d.Register(s, SchemePool)
		s.AddDenial(denied)
	}
}
