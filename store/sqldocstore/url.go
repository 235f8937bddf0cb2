package sqldocstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/docstore"

	"github.com/hbollon/go-edlib"
)

// The schemes that URLOpener opens.
const (
	SchemeSQLite     = "sqlite"
	SchemePostgres   = "postgres"
	SchemePostgreSQL = "postgresql"
)

// URLOpener opens collections by URL; the package comment describes the URLs.
// Options holds the settings that a URL does not give; it may be the zero value.
type URLOpener struct {
	Options Options
}

// RegisterOn makes mux open this package's schemes with o. Nothing is registered
// unless a program says so.
func (o *URLOpener) RegisterOn(mux *docstore.URLMux) {
	for _, scheme := range []string{SchemeSQLite, SchemePostgres, SchemePostgreSQL} {
		mux.RegisterCollection(scheme, o)
	}
}

// OpenCollectionURL opens the collection that u names.
func (o *URLOpener) OpenCollectionURL(ctx context.Context, u *url.URL) (*docstore.Collection, error) {
	c, err := openURL(ctx, u, o.Options)
	if err != nil {
		return nil, wrapf(err, "open %s", place(u))
	}
	return docstore.NewCollection(c), nil
}

// Open opens the collection that rawURL names; see the package comment for the URLs.
// What the URL says goes before opts, which may be nil. The table and its indexes are
// created unless NoCreate is set.
func Open(ctx context.Context, rawURL string, opts *Options) (*docstore.Collection, error) {
	u, err := url.Parse(rawURL)
	if err != nil && strings.Contains(rawURL, "@") {
		return nil, errUser
	}
	if err != nil {
		return nil, invalidf("open: the URL cannot be parsed: %v", reason(err))
	}
	var o URLOpener
	if opts != nil {
		o.Options = *opts
	}
	return o.OpenCollectionURL(ctx, u)
}

// errUser tells no part of the URL, because what url.Parse complains of may be one of
// the password.
var errUser = invalidf("open: the URL cannot be parsed: write it as postgres://USER:PASSWORD@HOST/DATABASE, with special characters " +
	"as %%XX, such as / as %%2F")

// reason is a parse error without the URL.
func reason(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// place is a URL without user, password and parameters, which may be passwords.
func place(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, Opaque: u.Opaque}
	if strings.Contains(u.Opaque+u.Path, "@") && u.Scheme != SchemeSQLite {
		return u.Scheme + ":..." // a password, after a slash too few or too many
	}
	return bare.String()
}

func openURL(ctx context.Context, u *url.URL, opts Options) (*collection, error) {
	known := postgresParams
	if u.Scheme == SchemeSQLite {
		known = nil
	}
	// PostgreSQL's own URLs take a plus for a plus and not, as forms do, for a space.
	query, err := url.ParseQuery(strings.ReplaceAll(u.RawQuery, "+", "%2B"))
	if err != nil {
		return nil, invalidf("open %s: its parameters cannot be read: %v", place(u), err)
	}
	rest, err := applyParams(query, &opts, known)
	if err != nil {
		return nil, err
	}
	l, err := newLayout(&opts)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case SchemeSQLite:
		path, err := sqlitePath(u)
		if err != nil {
			return nil, err
		}
		return openSQLite(ctx, path, l)
	case SchemePostgres, SchemePostgreSQL:
		if l.Postgres == nil {
			return nil, invalidf("this program has no client of PostgreSQL: set Options.Postgres to NewPostgres(postgres.Connect), " +
				"with package store/sqldocstore/postgres")
		}
		server := *u
		server.RawQuery = strings.ReplaceAll(rest.Encode(), "+", "%20")
		return l.Postgres.open(ctx, &server, l)
	default:
		return nil, invalidf("scheme %q: want %s or %s", u.Scheme, SchemeSQLite, SchemePostgres)
	}
}

// sqlitePath is the file that a sqlite URL names: sqlite:///abs/file,
// sqlite://rel/file and sqlite:rel/file, or :memory:.
func sqlitePath(u *url.URL) (string, error) {
	path := u.Host + u.Path
	if u.Opaque != "" {
		var err error
		if path, err = url.PathUnescape(u.Opaque); err != nil {
			return "", invalidf("file name %q: %v", u.Opaque, err)
		}
	}
	if path == "" || u.User != nil || strings.HasSuffix(path, "/") {
		return "", invalidf("no file name: want sqlite:///absolute/file.db, sqlite://relative/file.db or sqlite::memory:")
	}
	return path, nil
}

// Params returns the URL parameters that are this package's.
func Params() []string { return slices.Sorted(maps.Keys(params)) }

// params are the URL parameters that are ours.
var params = map[string]func(o *Options, v string) error{
	"table":          func(o *Options, v string) error { o.Table = v; return nil },
	"schema":         func(o *Options, v string) error { o.Schema = v; return nil },
	"id_field":       func(o *Options, v string) error { o.IDField = v; return nil },
	"revision_field": func(o *Options, v string) error { o.RevisionField = v; return nil },
	"synchronous":    func(o *Options, v string) error { o.Synchronous = v; return nil },
	"index": func(o *Options, v string) error {
		o.Indexes = append(slices.Clip(o.Indexes), strings.Split(v, ","))
		return nil
	},
	"column": func(o *Options, v string) error {
		name, typ, ok := strings.Cut(v, ":")
		if !ok {
			return fmt.Errorf("want name:type")
		}
		o.Columns = append(slices.Clip(o.Columns), Column{name, ColumnType(typ)})
		return nil
	},
	"create": func(o *Options, v string) (err error) {
		create, err := strconv.ParseBool(v)
		o.NoCreate = !create
		return err
	},
	"max_batch":     func(o *Options, v string) (err error) { o.MaxBatch, err = strconv.Atoi(v); return err },
	"busy_timeout":  func(o *Options, v string) (err error) { o.BusyTimeout, err = time.ParseDuration(v); return err },
	"write_timeout": func(o *Options, v string) (err error) { o.WriteTimeout, err = time.ParseDuration(v); return err },
}

// repeatable are the parameters that may be given more than once.
var repeatable = []string{"index", "column"}

// applyParams sets o from our parameters and returns the parameters named in pass,
// which are the database's own. Any other parameter is an error: a misspelt one would otherwise
// silently do nothing.
func applyParams(q url.Values, o *Options, pass []string) (url.Values, error) {
	rest := url.Values{}
	for name, values := range q {
		if slices.Contains(pass, name) {
			rest[name] = values
			continue
		}
		set, ok := params[name]
		if !ok {
			if strings.Contains(name, "@") { // the rest of a password with a question mark
				return nil, errUser
			}
			return nil, unknownParam(name, pass)
		}
		if len(values) > 1 && !slices.Contains(repeatable, name) {
			return nil, invalidf("parameter %q is given %d times", name, len(values))
		}
		for _, v := range values {
			if err := set(o, v); err != nil {
				return nil, invalidf("parameter %s=%q: %v", name, v, err)
			}
		}
	}
	return rest, nil
}

// unknownParam refuses a parameter. It names the known parameter nearest to name, or all if none
// is near.
func unknownParam(name string, pass []string) error {
	known := append(slices.Sorted(maps.Keys(params)), pass...)
	if near, err := edlib.FuzzySearchThreshold(name, known, 0.6, edlib.OSADamerauLevenshtein); err == nil && near != "" {
		return invalidf("unknown parameter %q: did you mean %q?", name, near)
	}
	return invalidf("unknown parameter %q: known are %s", name, strings.Join(known, ", "))
}
