package sqldocstore

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/gcerrors"
)

// maxRetries is how often a group of writes is tried again after PostgreSQL gave up on
// it in favour of another process's.
const maxRetries = 10

// commit implements backend.
func (db *postgresDB) commit(reqs []*request) {
	isolate(reqs, func(reqs []*request) (err error) {
		for range maxRetries {
			if err = db.transact(reqs); !lostRace(err) {
				return err
			}
		}
		return err
	})
}

// errLostRace: a row that an Update was computed from changed before it was written.
var errLostRace = &outcome{gcerrors.FailedPrecondition, "the document kept changing"}

// lostRace reports whether trying again may help: nothing was applied.
func lostRace(err error) bool {
	code := sqlState(err)
	return errors.Is(err, errLostRace) || code == "40P01" || code == "40001"
}

// transact applies the requests in one transaction. After an error nothing of them is
// applied, or, if the connection failed, it is unknown.
func (db *postgresDB) transact(reqs []*request) error {
	ctx, cancel := context.WithTimeout(context.Background(), db.WriteTimeout)
	defer cancel()
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return db.timedOut(err)
	}
	defer conn.Release()
	t := transactions.Get().(*pgTransaction)
	defer t.release()
	t.db, t.ctx, t.conn, t.atomic = db, ctx, conn, reqs[0].atomic
	for _, r := range reqs {
		r.fail(nil)
		for i := range r.writes {
			t.writes = append(t.writes, pgWrite{write: &r.writes[i]})
		}
	}
	if err := t.run(); err != nil {
		if demoted(err) {
			db.pool.Reset() // the others lead there, too; new ones lead to who takes writes now
		}
		return db.timedOut(err)
	}
	if t.atomic {
		for i := range reqs[0].writes {
			if reqs[0].writes[i].err != nil {
				reqs[0].rollBack(i)
				break
			}
		}
	}
	return nil
}

// timedOut marks the error of a server that did not answer in time. The context is the
// writer's own: no caller must take its end for its own context's.
func (db *postgresDB) timedOut(err error) error {
	if isContextError(err) {
		return fmt.Errorf("%w: no answer within %v: %s", ErrUnavailable, db.WriteTimeout, err.Error()) // its text alone
	}
	return unavailable(err)
}
