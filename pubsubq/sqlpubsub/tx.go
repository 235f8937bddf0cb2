package sqlpubsub

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

// InTx returns a way to send messages in a transaction of the caller, which is a *sql.Tx, or a pgx.Tx,
// on the database of the queues. They can be received when the caller commits. It sends only.
//
// Do not use the transaction for something else during a call.
func (q *Queues) InTx(tx any) (pubsubq.Direct, error) {
	exec, err := q.db.inTx(tx)
	if err != nil {
		return nil, err
	}
	return &inTx{q, exec}, nil
}

func inSQLTx(tx any) (Exec, error) {
	t, ok := tx.(*sql.Tx)
	if !ok {
		return nil, fmt.Errorf("sqlpubsub: the transaction is a %T: want a *sql.Tx, or for PostgreSQL a pgx.Tx", tx)
	}
	return func(ctx context.Context, query string, args ...any) error {
		_, err := t.ExecContext(ctx, query, args...)
		return err
	}, nil
}

type inTx struct {
	queues *Queues
	exec   Exec
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
