package drivers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// Config says where a deployment keeps its state. All processes of one deployment must have the
// same. Package infra/program reads it from the environment.
type Config struct {
	Store  string // URL of the store
	Queues string // template of the URLs of the queues, with "{queue}"; see WithDefaults
	Blobs  string // URL of the bucket; see WithDefaults

	// Timing configures the store. A zero field means store's default. Native is set from what the
	// queue can do.
	Timing store.Timing
	// Margin is functions.Config's.
	Margin time.Duration
}

// WithDefaults fills in what a store settles: a PostgreSQL, SQLite or memory store has the queues
// too, and a SQLite file or memory has the blobs beside it. Of a PostgreSQL store they are in a folder
// of that database below .piecework in the home directory, which does for the processes of one user on
// one machine. Otherwise they stay empty.
func (c Config) WithDefaults() Config {
	scheme, rest := schemeOf(c.Store)
	rest, _, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	switch {
	case homes["store"][scheme] == "mem", scheme == "sqlite" && rest == ":memory:":
		c.Queues, c.Blobs = cmp.Or(c.Queues, c.Store), cmp.Or(c.Blobs, "mem://")
	case scheme == "sqlite":
		c.Queues, c.Blobs = cmp.Or(c.Queues, c.Store), cmp.Or(c.Blobs, folder(path.Join(path.Dir(rest), "blobs")))
	case ofServer(scheme):
		c.Queues, c.Blobs = cmp.Or(c.Queues, c.Store), cmp.Or(c.Blobs, folderOf(c.Store))
	case scheme == "pool":
		c.Queues = cmp.Or(c.Queues, c.Store)
	}
	return c
}

// schemeOf takes the scheme off a URL, in lower case.
func schemeOf(rawURL string) (scheme, rest string) {
	scheme, rest, _ = strings.Cut(rawURL, ":")
	return strings.ToLower(scheme), rest
}

// ofServer reports whether a store is in a server that knows no folder.
func ofServer(scheme string) bool { return homes["store"][scheme] == "sql" }

// folderOf returns the URL of the folder of a database on a server, or "" if there is no home
// directory.
func folderOf(rawURL string) string {
	home, err := os.UserHomeDir()
	a, wrong := ParseAddress(rawURL)
	if err != nil || wrong != nil {
		return ""
	}
	name := strings.TrimSuffix(cmp.Or(a.Params.String("host", ""), a.Host, "localhost"), ":5432") + "-" + cmp.Or(a.Params.String("dbname", ""), a.Path, "default")
	name = strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	return folder(url.PathEscape(home + "/.piecework/" + name))
}

// folder returns the URL of a folder, or "" if there is no working directory that it could be in.
// The name may be escaped already.
func folder(name string) string {
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	dir, err := filepath.Abs(filepath.FromSlash(name))
	if err != nil {
		return ""
	}
	return "file://" + (&url.URL{Path: filepath.ToSlash(dir)}).EscapedPath()
}

// Opened is everything that a configuration names, open.
type Opened struct {
	functions.Backends

	// Queues are for receiving. Backends.Queue is their sender.
	Queues Queue

	closers []func(context.Context) error
}

// Open opens everything that a configuration names. After an error nothing is open.
func (s *Set) Open(ctx context.Context, c Config) (*Opened, error) {
	o := &Opened{}
	full := c.WithDefaults()
	if scheme, _ := schemeOf(c.Store); c.Blobs == "" && full.Blobs != "" && ofServer(scheme) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "no URL of blobs is given: files are kept on this machine, for this user, where other workers do not find them",
			slog.String("blobs", full.Blobs))
	}
	if err := s.open(ctx, full, o); err != nil {
		return nil, errors.Join(err, o.Close(ctx))
	}
	return o, nil
}

func (s *Set) open(ctx context.Context, c Config, o *Opened) error {
	_, _, err := pick(s.stores, "store", c.Store)
	for _, place := range [][2]string{{"queues", c.Queues}, {"blobs", c.Blobs}} {
		if err == nil && place[1] == "" {
			err = fmt.Errorf("%w: no URL of the %s is given, and the store does not settle it", functions.ErrConfig, place[0])
		}
	}
	if err != nil {
		return err
	}
	if o.Queues, err = s.OpenQueue(ctx, c.Queues); err != nil {
		return err
	}
	o.Queue = o.Queues.Sender()
	o.closers = append(o.closers, o.Queues.Close)

	coll, closeStore, err := s.OpenStore(ctx, c.Store)
	if err != nil {
		return err
	}
	o.closers = append(o.closers, func(context.Context) error { return closeStore() })
	ttl, err := s.TTL(c.Store)
	if err != nil {
		return err
	}
	if o.Store, err = store.New(coll, &store.Options{Timing: native(c.Timing, o.Queue), TTL: ttl}); err != nil {
		return fmt.Errorf("%w: %w", functions.ErrConfig, err)
	}

	if o.InTx, err = s.InTx(c, coll, o.Store, o.Queues); err != nil {
		return err
	}

	bucket, err := s.OpenBucket(ctx, c.Blobs)
	if err != nil {
		return err
	}
	o.closers = append(o.closers, func(context.Context) error { return bucket.Close() })
	o.Blobs = blobout.New(bucket.Bucket, &blobout.Options{Dir: bucket.Dir, Upload: bucket.Upload})
	return nil
}

// InTx returns Backends.InTx for what was opened of a configuration with its defaults: nil if the store
// and the queues are not in one SQL database.
func (s *Set) InTx(c Config, coll *docstore.Collection, st *store.Store, q Queue) (func(tx any) (*functions.Tx, error), error) {
	_, d, err := pick(s.stores, "store", c.Store)
	queues, ok := q.(TxSender)
	if err != nil || d.InTx == nil || !ok || c.Queues != c.Store {
		return nil, err
	}
	return func(tx any) (*functions.Tx, error) {
		sender, err := queues.InTx(tx)
		if err != nil {
			return nil, err
		}
		records, err := d.InTx(coll, tx)
		if err != nil {
			return nil, err
		}
		return &functions.Tx{Store: st.In(records), Queue: sender, Close: records.Close}, nil
	}, nil
}

// native returns t with Native set to the longest delay of the queue, at most the longest grace: a
// process looks that far ahead for messages that were lost with a queue.
func native(t store.Timing, q functions.Sender) store.Timing {
	const usual = time.Hour // the default of MaxGrace
	t.Native = cmp.Or(t.Native, min(q.MaxDelay(functions.DefaultQueue), cmp.Or(t.MaxGrace, usual)))
	return t
}

// Close closes everything, the last first. Shut the receivers down before.
func (o *Opened) Close(ctx context.Context) error {
	var errs []error
	for _, c := range slices.Backward(o.closers) {
		errs = append(errs, c(ctx))
	}
	o.closers = nil
	return errors.Join(errs...)
}

// Backends opens what a runtime needs, and returns what closes it again. For the receivers of a
// worker, see [Set.Open].
func (s *Set) Backends(ctx context.Context, c Config) (functions.Backends, func(context.Context) error, error) {
	o, err := s.Open(ctx, c)
	if err != nil {
		return functions.Backends{}, nil, err
	}
	return o.Backends, o.Close, nil
}
