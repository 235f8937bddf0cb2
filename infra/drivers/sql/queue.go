package sql

import (
	"context"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq/sqlpubsub"
	sqlpostgres "github.com/piecework/piecework/pubsubq/sqlpubsub/postgres"
	"github.com/piecework/piecework/store/sqldocstore"
	"github.com/piecework/piecework/store/sqldocstore/postgres"
)

// queueConns is how many connections the queues of a process have to PostgreSQL, but for the one
// that listens.
const queueConns = 4

// openServer opens the queues of a URL of PostgreSQL.
func openServer(ctx context.Context, a *drivers.Address, opts *sqlpubsub.Options) (*sqlpubsub.Queues, func() error, error) {
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
		return nil, nil, a.Errorf("it is not one of PostgreSQL, such as postgres://USER@HOST/DATABASE: %w", postgres.Reason(err))
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
