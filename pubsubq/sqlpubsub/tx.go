package sqlpubsub

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/piecework/piecework/pubsubq"
)

// exec runs a statement.
type exec func(ctx context.Context, query string, args ...any) error

// InTx returns a way to send messages in a transaction of the caller, which is a pgx.Tx or a *sql.Tx
// on the database of the queues. They can be received when the caller commits. It sends only.
//
// Do not use the transaction for something else during a call.
func (q *Queues) InTx(tx any) (pubsubq.Direct, error) {
	_, isSQLite := q.db.(*sqliteDB)
	switch tx := tx.(type) {
	case pgx.Tx:
		if isSQLite {
			return nil, errors.New("sqlpubsub: the transaction is one of PostgreSQL, and the queues are in SQLite")
		}
		return &inTx{q, func(ctx context.Context, query string, args ...any) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		}}, nil
	case *sql.Tx:
		return &inTx{q, func(ctx context.Context, query string, args ...any) error {
			_, err := tx.ExecContext(ctx, query, args...)
			return err
		}}, nil
	default:
		return nil, fmt.Errorf("sqlpubsub: a transaction is a pgx.Tx or a *sql.Tx, not a %T", tx)
	}
}

type inTx struct {
	queues *Queues
	exec   exec
}

// SendDirect inserts messages in the transaction.
func (x *inTx) SendDirect(ctx context.Context, queue string, delay time.Duration, msgs []pubsubq.Raw) error {
	rows, err := newRows(msgs, delay)
	if err != nil {
		return err
	}
	number(rows)
	t := x.queues.tableOf(queue)
	if err := x.queues.db.insertBy(ctx, x.exec, t, queue, rows); err != nil {
		return fmt.Errorf("insert %d messages into %s in a transaction: %w", len(rows), t.name, err)
	}
	return nil
}

// SubscribeDirect returns an error.
func (*inTx) SubscribeDirect(string) (pubsubq.DirectSubscription, error) {
	return nil, errors.New("sqlpubsub: a transaction of a caller only sends")
}
