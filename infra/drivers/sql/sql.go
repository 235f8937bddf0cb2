// Package sql registers SQLite and PostgreSQL as stores, and as queues in the same database.
//
// # URLs
//
//	sqlite:///var/lib/piecework/piecework.db      a file; sqlite::memory: keeps nothing
//	postgres://user@host:5432/database            also postgresql://
//	pool://                                       the application's own pool; see [Over]
//
// # Parameters
//
//	table=piecework           the name of the table, and the first part of the names of the queues' tables
//	schema=work               PostgreSQL: the schema of the tables, which exists; default: search_path's
//	create=false              the tables exist already, as the provisioner creates them
//	synchronous=full          SQLite: full, normal or off
//	busy_timeout=10s          SQLite: how long to wait for another process's lock
//	write_timeout=30s         PostgreSQL: when a connection is given up
//	max_batch=500             writes in one transaction
//
// A postgres URL also takes PostgreSQL's own: sslmode, sslrootcert, pool_max_conns and the others
// of libpq and pgxpool. With several hosts, postgres://user@a:5432,b:5432/database, add
// target_session_attrs=read-write: when the server that is connected has become a standby, its
// connections are dropped, and this finds who takes writes now.
//
// The address may be a connection pooler, such as PgBouncer, in transaction or session mode;
// statement mode is refused. Without a pooler statements are prepared once, which is faster.
//
// # Environment and credentials
//
// For PostgreSQL libpq's: PGPASSWORD, PGSSLMODE, a .pgpass file. A password in the URL works and is
// never logged.
//
// # Limits
//
// A record may be as large as the store package allows. SQLite is for the processes of one machine.
//
// # Delivery
//
// Reads by id and queries see the last write. The queues are two tables beside the records,
// TABLE_hints and TABLE_messages; see package sqlpubsub. Hints may be lost with a worker that has
// just received them, and with a crash of PostgreSQL; sweep sends them again. Messages of the queue
// submit are delivered at least once. PostgreSQL wakes its receivers, but behind a pooler they look
// five times a second.
//
// # Delay
//
// Of any length.
package sql

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/sqlite"
	"github.com/piecework/piecework/store/sqldocstore"
	"github.com/piecework/piecework/store/sqldocstore/postgres"
)

// Register registers the stores and queues sqlite, postgres and postgresql.
func Register(s *drivers.Set) {
	sqlite.Register(s)
	sqlite.Database{Options: Options, Queues: openServer}.Register(s, sqldocstore.SchemePostgres, sqldocstore.SchemePostgreSQL)
	s.AddDenial(denied)
}

// Options returns the layout of the records in SQLite and PostgreSQL.
func Options() *sqldocstore.Options {
	o := sqlite.Options()
	o.Postgres = sqldocstore.NewPostgres(postgres.Connect)
	return o
}

// insufficientPrivilege is a SQLSTATE of PostgreSQL, from its manual, appendix A.
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
