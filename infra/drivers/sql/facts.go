package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/infra/drivers"
)

// facts tells the time of a PostgreSQL server. SQLite has this machine's.
func facts(ctx context.Context, _ *drivers.Address, coll *docstore.Collection) (*drivers.StoreFacts, error) {
	var pool *pgxpool.Pool
	if !coll.As(&pool) {
		return nil, nil
	}
	if err := pool.Ping(ctx); err != nil { // or the time of connecting would count as that of the question
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	c := &drivers.Clock{Sent: time.Now()}
	if err := pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&c.Server); err != nil {
		return nil, fmt.Errorf("ask PostgreSQL for its time: %w", err)
	}
	c.Received = time.Now()
	return &drivers.StoreFacts{Clock: c}, nil
}

// insufficientPrivilege is the SQLSTATE for a lack of rights.
const insufficientPrivilege = "42501"

// denied says what to grant.
func denied(err error) string {
	var server *pgconn.PgError
	if !errors.As(err, &server) || server.Code != insufficientPrivilege {
		return ""
	}
	if server.TableName != "" {
		return "GRANT SELECT, INSERT, UPDATE, DELETE ON " + server.TableName + " to this process's user"
	}
	return "GRANT SELECT, INSERT, UPDATE, DELETE on the table to this process's user, and CREATE on the schema to who runs init"
}
