package sqldocstore

import "errors"

// commit implements backend.
func (db *sqliteDB) commit(reqs []*request) {
	db.mu.Lock()
	defer db.mu.Unlock()
	isolate(reqs, db.transact)
}

// transact commits the requests in one transaction. After an error nothing of them
// is applied.
func (db *sqliteDB) transact(reqs []*request) (err error) {
	w := db.writer
	begin := func() error { _, err := w.exec("BEGIN IMMEDIATE"); return err }
	if err := db.retryBusy(bg, begin); err != nil {
		return err
	}
	for _, r := range reqs {
		r.fail(nil)
		if err = db.rows.apply(r); err != nil {
			break
		}
	}
	if err == nil {
		_, err = w.exec("COMMIT")
	}
	if err != nil {
		_, _ = w.exec("ROLLBACK") // fails if the error itself has ended the transaction
	}
	return err
}

// worthRetrying reports whether the requests of a failed transaction may fare better
// one by one: not if the database as a whole is the trouble.
func worthRetrying(err error) bool {
	return !errors.Is(err, ErrUnavailable) && !isContextError(err)
}
