// Package sqldocstore is a gocloud.dev docstore driver for SQLite and PostgreSQL: a
// durable document store with real indexes, in one file of one process or in a shared
// database, behind the same docstore.Collection as DynamoDB or Firestore.
//
//	coll, err := sqldocstore.Open(ctx, "sqlite:///var/lib/app/jobs.db", &sqldocstore.Options{
//		Columns: []sqldocstore.Column{{"state", sqldocstore.Text}},
//		Indexes: [][]string{{"state"}},
//	})
//
// # URLs
//
//	sqlite:///var/lib/jobs.db                 an absolute file name
//	sqlite://jobs.db, sqlite:jobs.db          a relative one
//	sqlite::memory:                           in memory, private to the collection
//	postgres://user:pw@host:5432/db           also postgresql://
//
// They work with Open and, once URLOpener.RegisterOn has been called, on a
// docstore.URLMux. Importing the package registers nothing. These parameters set the
// Options of the same name; any other is an error that names the nearest valid one:
//
//	table, id_field, revision_field           names
//	column=NAME:TYPE                          text, bytes or int; repeatable
//	index=COLUMN,COLUMN                       repeatable
//	create=false                              the table exists already
//	schema=NAME                               PostgreSQL
//	synchronous=full|normal|off               SQLite
//	busy_timeout=10s                          SQLite
//	write_timeout=30s                         PostgreSQL, a group of writes or Gets
//	max_batch=500                             writes in one transaction
//
// A postgres URL needs Options.Postgres, and also takes PostgreSQL's own parameters, such as
// sslmode, and pool_max_conns and its kin.
//
// # Connection poolers
//
// A postgres URL may lead to PgBouncer, or another pooler, in transaction or session
// mode: each connection finds out whether it does. Then nothing outlives a transaction:
// no prepared statement and no setting, which costs some speed. The results of a query
// are read into memory at once, because the pooler may have few connections to the
// server. Statement mode is refused on opening, because it has no transactions. A pooler
// may refuse parameters that it does not track, such as search_path and options.
//
// # Storage
//
// One table: id (the key), rev (the revision), a column for each of Options.Columns,
// and doc, a CBOR map of all other fields, NULL if there are none. The table, columns
// that were declared since, and the indexes are created on opening, which any number of
// processes may do at once. Schema gives the same SQL.
//
// A key is a string. Text columns and keys hold UTF-8 without NUL. A nil value in a
// column is read back as an absent field.
//
// # Writes
//
// Every write of an action list has its own outcome. A write that carries a revision
// is compared and set in one statement: FailedPrecondition if the document has another
// revision, NotFound if it is not there (a Delete of nothing succeeds). Create answers
// AlreadyExists. AtomicWrites are all applied or none, also when a Create finds its
// document or one does not encode, and put the new revisions into the documents.
//
// A revision is a random int64: it never repeats for a key, not after deletion and not
// after a restart. A document written without a revision field still gets one, so
// that a write with the previous revision fails; it is not read back into a map.
//
// Writes of concurrent callers share a transaction (group commit): while one commits,
// those that come wait and become the next. A lone write commits at once. When one
// write spoils a transaction, it alone fails.
//
// When a write has returned nil, it survives the death of the process and, unless
// Synchronous says otherwise, a power cut. When the process dies inside, each list of
// AtomicWrites and each single write has been applied whole or not at all. When a
// context ends while its write waits, the caller gets the context's error, and the
// write may or may not be applied: read the document to know. The same holds for an
// error of code Unknown, Internal or DeadlineExceeded.
//
// A statement on PostgreSQL that waits for another transaction's lock for 250 ms fails with
// ErrUnavailable, and may be tried again: the writes that share its transaction must not wait for a
// transaction that an application keeps open. It sets lock_timeout for that.
//
// # Reads
//
// A Get reads what was committed last. Concurrent single Gets share statements as
// writes share transactions; the Gets of an action list are one statement. To decode a
// stored field that the struct lacks is an error, as with every docstore driver: give
// field paths, which also limit what is read.
//
// # Queries
//
// Filters and order on the key and on declared columns of text or int are done by the
// database, with its indexes; those on other fields in Go, correctly but by reading
// every document that passes the others. Strings compare bytewise. A query sees the
// database as it was when the query began, keeps no writer waiting, and reads only
// what its field paths ask for. Stop an iterator that is not read to its end: it may
// keep a connection. Query.Plan tells the statement and the database's plan for it.
//
// # Errors
//
// ResourceExhausted: the disk is full. Unknown with errors.Is(err, ErrUnavailable): the
// database cannot be reached, or another process has it locked for too long.
// Collection.ErrorAs finds *sqlite.Error and *pgconn.PgError.
package sqldocstore
