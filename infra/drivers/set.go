package drivers

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// StoreDriver is what a subpackage registers for a store's scheme.
type StoreDriver struct {
	// Open opens the collection. The function closes it and what is behind it.
	Open func(ctx context.Context, a *Address) (*docstore.Collection, func() error, error)
	// Provisioner returns what creates the store, and the queues if they are in it; nil if there is
	// nothing to create.
	Provisioner func(a *Address, queues bool) (Provisioner, error)
	// TTL returns whether and how the store deletes records by itself, which the provisioner sees
	// to; nil if it does not.
	TTL func(a *Address) store.TTL
	// InTx returns a collection in a transaction of the caller, which is a pgx.Tx or a *sql.Tx; nil if
	// the store is in no SQL database.
	InTx func(coll *docstore.Collection, tx any) (*docstore.Collection, error)
}

// QueueDriver is what a subpackage registers for the scheme of queues. It reads the template and
// opens what all queues share; log gets what an operator should know.
type QueueDriver func(ctx context.Context, a *Address, log *slog.Logger) (Queue, error)

// Bucket is an open bucket.
type Bucket struct {
	*blob.Bucket

	Dir    string // the directory, if the bucket is one
	Upload bool   // as in blobout.Options
}

// BucketDriver is what a subpackage registers for a bucket's scheme.
type BucketDriver func(ctx context.Context, a *Address) (Bucket, error)

// Set opens what is registered with it. Register everything before the first use. Then it is safe
// for concurrent use.
type Set struct {
	stores  map[string]StoreDriver
	queues  map[string]QueueDriver
	buckets map[string]BucketDriver
	denials []func(error) string
	log     *slog.Logger
}

// New returns a set with what the functions register. Each subpackage has one, called Register.
func New(register ...func(*Set)) *Set {
	s := &Set{
		stores: map[string]StoreDriver{}, queues: map[string]QueueDriver{}, buckets: map[string]BucketDriver{},
		log: slog.Default(),
	}
	for _, r := range register {
		r(s)
	}
	return s
}

// LogTo makes l get what an operator should know, such as lost connections. Default:
// slog.Default().
func (s *Set) LogTo(l *slog.Logger) { s.log = l }

// AddStore registers a store's scheme.
func (s *Set) AddStore(scheme string, d StoreDriver) { s.stores[scheme] = d }

// AddQueue registers a scheme of queues.
func (s *Set) AddQueue(scheme string, d QueueDriver) { s.queues[scheme] = d }

// AddBucket registers a bucket's scheme.
func (s *Set) AddBucket(scheme string, d BucketDriver) { s.buckets[scheme] = d }

// AddDenial registers a function that says what must be granted to whom if one of its services
// refused an error's request for lack of rights. For other errors it returns "".
func (s *Set) AddDenial(remedy func(err error) string) { s.denials = append(s.denials, remedy) }

// Denied returns what must be granted, if an error comes from lack of rights and a driver knows
// which, else "".
func (s *Set) Denied(err error) string {
	for _, remedy := range s.denials {
		if text := remedy(err); text != "" {
			return text
		}
	}
	return ""
}

// OpenStore opens the collection that a URL names, and returns what closes it and all that is
// behind it. Errors of configuration are functions.ErrConfig.
func (s *Set) OpenStore(ctx context.Context, rawURL string) (*docstore.Collection, func() error, error) {
	a, d, err := pick(s.stores, "store", rawURL)
	if err != nil {
		return nil, nil, err
	}
	coll, closeStore, err := d.Open(ctx, a)
	if err != nil {
		return nil, nil, fmt.Errorf("open store %s: %w", a, err)
	}
	return coll, closeStore, nil
}

// TTL returns whether and how the store that a URL names deletes records by itself.
func (s *Set) TTL(rawURL string) (store.TTL, error) {
	a, d, err := pick(s.stores, "store", rawURL)
	if err != nil || d.TTL == nil {
		return store.TTLNone, err
	}
	return d.TTL(a), nil
}

// OpenQueue opens the queues that a template names. Servers are dialled when a queue is first used,
// so a process can start while a broker is away.
func (s *Set) OpenQueue(ctx context.Context, rawURL string) (Queue, error) {
	a, d, err := pick(s.queues, "queues", rawURL)
	if err != nil {
		return nil, err
	}
	q, err := d(ctx, a, s.log)
	if err != nil {
		return nil, fmt.Errorf("open queues %s: %w", a, err)
	}
	return q, nil
}

// OpenBucket opens the bucket that a URL names.
func (s *Set) OpenBucket(ctx context.Context, rawURL string) (Bucket, error) {
	a, d, err := pick(s.buckets, "blobs", rawURL)
	if err != nil {
		return Bucket{}, err
	}
	b, err := d(ctx, a)
	if err != nil {
		return Bucket{}, fmt.Errorf("open blobs %s: %w", a, err)
	}
	return b, nil
}

// homes says which subpackage has a scheme, for the error that it is not linked.
var homes = map[string]map[string]string{
	"store": {
		"sqlite": "sqlite", "postgres": "sql", "postgresql": "sql", "mem": "mem", "dynamodb": "aws", "firestore": "gcp",
		"mongodb": "mongo", "mongodb+srv": "mongo",
	},
	"queues": {
		"mem": "mem", "sqlite": "sqlite", "postgres": "sql", "postgresql": "sql", "awssqs": "aws", "awssns": "aws", "gcppubsub": "gcp", "azuresb": "azure",
		"jetstream": "nats", "tls+jetstream": "nats", "amqp": "rabbit", "amqps": "rabbit",
		"kafka": "kafka", "kafka+tls": "kafka",
	},
	"blobs": {"mem": "mem", "file": "files", "s3": "aws", "gs": "gcp", "azblob": "azure"},
}

// forms says how the URLs of a scheme look for which the scheme alone says too little.
var forms = map[string]string{
	"sqlite": "sqlite:///path/to/file", "postgres": "postgres://user@host/db", "postgresql": "postgresql://user@host/db",
	"file": "file:///path/to/folder",
}

// pick finds the driver of a URL.
func pick[D any](drivers map[string]D, what, rawURL string) (*Address, D, error) {
	var none D
	var linked []string
	for _, scheme := range slices.Sorted(maps.Keys(drivers)) {
		linked = append(linked, cmp.Or(forms[scheme], scheme+"://"))
	}
	known := cmp.Or(strings.Join(linked, ", "), "none")
	a, err := ParseAddress(rawURL)
	if err != nil {
		return nil, none, fmt.Errorf("%s: %w; this program has drivers for %s", what, err, known)
	}
	if d, ok := drivers[a.Scheme]; ok {
		return a, d, nil
	}
	remedy := "correct the scheme"
	if home, ok := homes[what][a.Scheme]; ok {
		remedy = fmt.Sprintf("pass %s.Register of package infra/drivers/%s to drivers.New in main", home, home)
	}
	return nil, none, fmt.Errorf("%w: %s %s: this program has no driver for %q, only for %s: %s",
		functions.ErrConfig, what, a, a.Scheme, known, remedy)
}
