// Package server is what sqldocstore needs of a client of PostgreSQL. Package postgres implements it
// with pgx. The two are apart so that a program that only uses SQLite does not link pgx.
package server

import "context"

// Pool is connections to a server.
type Pool interface {
	// Acquire waits for a connection. The caller must release it.
	Acquire(ctx context.Context) (Conn, error)
	// MaxConns is how many connections there are at most.
	MaxConns() int
	// Reset closes the connections, those in use when they are released.
	Reset()
	// Close waits for every connection and closes it.
	Close()
	// As gives out the client's own pool.
	As(i any) bool
	// InTx returns a transaction of the client's own type that the application has begun, and false
	// for a value of another type.
	InTx(tx any) (Tx, bool)
}

// Tx is a transaction that the application has begun, and commits.
type Tx interface {
	// Run runs a statement and returns how many rows it changed.
	Run(ctx context.Context, query string, args []any) (int64, error)
	// Each calls f with each row of a query.
	Each(ctx context.Context, f func(row []any) error, query string, args []any) error
}

// Conn is a connection in use.
type Conn interface {
	// Pooled reports whether it leads to a pooler, which gives each transaction to any of its
	// connections to the server.
	Pooled() bool
	// Exec runs a statement and returns its rows, as text.
	Exec(ctx context.Context, sql string) (rows [][][]byte, err error)
	// Describe returns the error that the server finds in a statement without running it.
	Describe(ctx context.Context, sql string) error
	// Batch returns a batch of statements that are sent together.
	Batch() Batch
	// Kill closes the connection without waiting for the server.
	Kill()
	// Release gives the connection back to its pool.
	Release()
}

// Batch is statements that are sent together, in one transaction unless they begin their own.
type Batch interface {
	// Add adds a statement, with parameters in binary form and their types. A direct connection has
	// it prepared, once.
	Add(ctx context.Context, sql string, args [][]byte, oids []uint32) error
	// Begin adds the start of a transaction.
	Begin()
	// Send sends the statements and returns at once: the results report the errors.
	Send(ctx context.Context) Results
}

// Results are the results of a batch, in the order of its statements.
type Results interface {
	// Next goes to the next result. It returns false at the end, and after an error, which Close
	// returns.
	Next() bool
	// NextRow goes to the next row of the result.
	NextRow() bool
	// Values is the row in binary form, valid until the next call of NextRow.
	Values() [][]byte
	// Close reads what is left.
	Close() error
}

// URLError says that a URL is not one of PostgreSQL.
type URLError struct{ Reason error }

// Error says what is wrong with the URL, without its password.
func (e *URLError) Error() string { return e.Reason.Error() }
