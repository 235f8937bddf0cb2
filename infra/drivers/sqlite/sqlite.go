// Package sqlite registers SQLite as a store, and as queues in the same database. Package sql
// registers PostgreSQL too, whose client is larger than the rest of the driver.
//
// # URLs
//
//	sqlite:///var/lib/piecework/piecework.db      a file; sqlite::memory: keeps nothing
//
// # Parameters
//
//	table=piecework           the name of the table, and the first part of the names of the queues' tables
//	create=false              the tables exist already, as the provisioner creates them
//	synchronous=full          full, normal or off
//	busy_timeout=10s          how long to wait for another process's lock
//	max_batch=500             writes in one transaction
//
// # Environment and credentials
//
// None.
//
// # Limits
//
// A record may be as large as the store package allows. SQLite is for the processes of one machine.
// A transaction of the application for Client.SubmitTx should begin for writing and wait for others:
// open the file with the parameters _txlock=immediate&_pragma=busy_timeout(10000).
//
// # Delivery
//
// Reads by id and queries see the last write. The queues are two tables beside the records,
// TABLE_hints and TABLE_messages; see package sqlpubsub. Hints may be lost with a worker that has
// just received them; sweep sends them again. Messages of the queue submit are delivered at least
// once.
//
// # Delay
//
// Of any length.
//
// sqlite.go has the store, queue.go the queues. Both serve package sql too; see [Database].
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq/sqlpubsub"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/sqldocstore"
)

// Register registers the store and the queues sqlite.
func Register(s *drivers.Set) {
	Database{Options: Options, Queues: openFile}.Register(s, sqldocstore.SchemeSQLite)
}

// Database is a database that sqldocstore and sqlpubsub know.
type Database struct {
	// Options returns the layout of the records and, for PostgreSQL, the client.
	Options func() *sqldocstore.Options
	// Store opens the store of a URL. Default: sqldocstore.Open.
	Store func(ctx context.Context, a *drivers.Address) (*docstore.Collection, error)
	// Queues opens the queues of a URL, and returns what closes them.
	Queues func(ctx context.Context, a *drivers.Address, opts *sqlpubsub.Options) (*sqlpubsub.Queues, func() error, error)
}

// Register registers the store and the queues of a database.
func (d Database) Register(s *drivers.Set, schemes ...string) {
	for _, scheme := range schemes {
		s.AddStore(scheme, drivers.StoreDriver{Open: d.open, Provisioner: d.provisioner, InTx: sqldocstore.InTx})
		s.AddQueue(scheme, d.openQueue)
	}
}

// Options returns the layout of the records in SQLite.
func Options() *sqldocstore.Options {
	o := &sqldocstore.Options{Table: "piecework", IDField: store.IDField, RevisionField: store.RevisionField, Indexes: store.Indexes()}
	for _, name := range store.Columns() {
		column := sqldocstore.Column{Name: name, Type: sqldocstore.Text}
		if name == "data" {
			column.Type = sqldocstore.Bytes
		}
		o.Columns = append(o.Columns, column)
	}
	return o
}

// layout are sqldocstore's parameters that would change what the store package expects.
var layout = []string{"id_field", "revision_field", "column", "index"}

func (d Database) open(ctx context.Context, a *drivers.Address) (*docstore.Collection, func() error, error) {
	if fixed := a.Params.Rest(layout...); len(fixed) > 0 {
		return nil, nil, a.Errorf("the layout of the records is fixed: remove %s", fixed.Encode())
	}
	openStore := d.Store
	if openStore == nil { // the other parameters are checked by sqldocstore, which knows PostgreSQL's too
		openStore = func(ctx context.Context, a *drivers.Address) (*docstore.Collection, error) {
			return sqldocstore.Open(ctx, a.Raw(), d.Options())
		}
	}
	coll, err := openStore(ctx, a)
	switch {
	case sqldocstore.ErrorCode(err) == gcerrors.InvalidArgument:
		return nil, nil, fmt.Errorf("%w: %w", functions.ErrConfig, err)
	case err != nil:
		if text := remedy(a, err); text != "" {
			err = fmt.Errorf("%s: %w", text, err)
		}
		return nil, nil, err
	}
	return coll, coll.Close, nil
}

// remedy says what to do if the store cannot be opened, or "".
func remedy(a *drivers.Address, err error) string {
	text := strings.ToLower(err.Error())
	file := File(a.Raw())
	switch {
	case strings.Contains(text, "not a database") || strings.Contains(text, "malformed"):
		return "the file is damaged, or is not a SQLite database: restore it from a backup, or move it away to start with an empty one"
	case file != "" && sqldocstore.ErrorCode(err) == gcerrors.ResourceExhausted, errors.Is(err, syscall.ENOSPC), isState(err, diskFull):
		return "the disk is full: free some space"
	case isState(err, readOnly):
		return "the server takes no writes, as a standby does: name the server that does, or add target_session_attrs=read-write"
	case errors.Is(err, sqldocstore.ErrUnavailable) && file != "":
		return "another process has locked it: end that process, or choose another file"
	case errors.Is(err, sqldocstore.ErrUnavailable):
		return "the database cannot be reached: check the address, and that the server runs"
	case file == "":
		return ""
	case strings.Contains(text, "readonly") || strings.Contains(text, "read-only") || errors.Is(err, fs.ErrPermission):
		return "make the file and its directory writable for this user"
	}
	if _, err := os.Stat(filepath.Dir(file)); errors.Is(err, fs.ErrNotExist) {
		return "there is no such directory: make it"
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return "that is a directory: name a file"
	}
	return ""
}

// File returns the file that a store's URL names, or "" if it names none.
func File(rawURL string) string {
	scheme, rest, ok := strings.Cut(rawURL, ":")
	if !ok || !strings.EqualFold(scheme, sqldocstore.SchemeSQLite) || strings.HasPrefix(rest, ":memory:") {
		return ""
	}
	rest, _, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	name, err := url.PathUnescape(rest)
	if err != nil {
		return ""
	}
	return filepath.FromSlash(name)
}

func (d Database) provisioner(a *drivers.Address, queues bool) (drivers.Provisioner, error) {
	o := d.Options()
	o.Table, o.Schema = a.Params.String("table", o.Table), a.Params.String("schema", "")
	dialect := sqldocstore.Postgres
	if a.Scheme == sqldocstore.SchemeSQLite {
		dialect = sqldocstore.SQLite
	}
	return &schema{database: d, address: a, dialect: dialect, options: o, queues: queues}, nil
}

// schema is the table of the records, its indexes, and the tables of the queues.
type schema struct {
	database Database
	address  *drivers.Address
	dialect  sqldocstore.Dialect
	options  *sqldocstore.Options
	queues   bool
}

// Print returns the SQL.
func (s *schema) Print() (string, error) {
	text, err := sqldocstore.Schema(s.dialect, s.options)
	if err != nil || !s.queues {
		return text, err
	}
	for _, stmt := range sqlpubsub.Schema(sqlpubsub.Dialect(s.dialect), queueOptions(s.options.Table, s.options.Schema)) {
		text += stmt + ";\n"
	}
	return text, nil
}

// Apply creates what is missing, by opening the store and the queues, which does just that.
func (s *schema) Apply(ctx context.Context) error {
	if !s.address.Params.Bool("create", true) {
		return s.address.Errorf("create=false asks not to create anything: remove it")
	}
	coll, closeStore, err := s.database.open(ctx, s.address)
	if err != nil {
		return fmt.Errorf("create table %s: %w", s.options.Table, err)
	}
	_ = coll
	if err := closeStore(); err != nil || !s.queues {
		return err
	}
	q, err := s.database.openQueue(ctx, s.address, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("create the tables of the queues: %w", err)
	}
	return q.Close(ctx)
}

// SQLSTATEs of PostgreSQL, from its manual, appendix A.
const (
	diskFull = "53100"
	readOnly = "25006"
)

// isState reports whether the server refused with that SQLSTATE.
func isState(err error, state string) bool {
	server, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	return ok && server.SQLState() == state
}
