// Package sqlpubsub is a gocloud.dev pubsub driver for two tables of a PostgreSQL or SQLite
// database, so that a job system whose records are there needs no broker.
//
//	q, err := sqlpubsub.OpenDB(ctx, db, nil) // or OpenPool of sqlpubsub/postgres
//	topic, sub := q.Topic("default"), q.Subscription("default")
//
// [Queues] is also a pubsubq.Direct: a Sender and a Receiver can use it without gocloud's portable
// layer, with the same semantics, and receive as many messages at once as they can handle.
//
// # Delivery
//
// There are two kinds of queues, by Options.Transient, each kind in a table of its own.
//
// Durable messages (PREFIX_messages) are delivered at least once. A message that is received is
// hidden for Options.Visibility, and removed when it is acked. A message that was not acked by then
// is delivered again, and so is one that is nacked, at once. It survives what the database survives.
//
// Transient messages (PREFIX_hints) are delivered at most once, unless they are nacked: they are
// removed when they are received. They cost less, because no write waits for the disk. They are
// lost with a process that has received them, with a crash of the PostgreSQL server (the table is
// unlogged, so it is also empty on a standby that takes over), and with a power cut under SQLite.
// They are for messages that somebody sends again, as package functions sends hints.
//
// Subscriptions of a queue compete for its messages, which come in the order in which they were
// sent or their delay ended; durable ones that are received together, in any order. Messages of
// concurrent senders share statements. A receiver takes messages in bulk with SKIP LOCKED
// (PostgreSQL) or in a transaction (SQLite).
//
// # Waiting
//
// A receiver is woken at once by what its own process sends. What others send, it learns from
// PostgreSQL's notices (LISTEN), and from SQLite's data version, which each process reads 50 times a
// second from shared memory. Behind a connection pooler that keeps no session, such as PgBouncer in
// transaction mode, there are no notices, and receivers look five times a second. The connection
// that listens is one more than the pool has.
//
// # Delay
//
// [DelayHook] delays a message for any time, by the clock of the database server, or of this process
// for SQLite.
//
// # Transactions
//
// [Queues.InTx] sends messages in a transaction of the caller. They can be received when it commits,
// and never if it is rolled back.
//
// # Tables
//
// They are created on opening, unless Options.NoCreate is set; [Schema] returns the statements. A
// role that only sends and receives needs SELECT, INSERT, UPDATE and DELETE. A queue needs no
// creation: it is a value in a column.
//
// # As
//
//   - Topic: driver.Topic
//   - Subscription: driver.Subscription
//   - Message: Incoming
//   - Message.BeforeSend: *Outgoing
//   - Error: *pgconn.PgError, *sqlite.Error
//
// # Where things are
//
// queues.go has [Queues], message.go a message as a row, topic.go sending and acks, subscription.go
// receiving, tx.go sending in a transaction of the caller, schema.go the tables, postgres.go and
// sqlite.go the statements of each database, errors.go the codes of errors.
package sqlpubsub
