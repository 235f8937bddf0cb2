// Package mem registers a store, queues and a bucket within the process, for tests and trials.
//
// # URLs
//
//	mem://      each opened is a new, empty one
//
// # Parameters
//
// None. The queues also take {queue} anywhere, and ignore it.
//
// # Environment and credentials
//
// None.
//
// # Limits
//
// All is lost with the process. The store is gocloud's memory store: it looks at every record on
// each query. The bucket cannot sign URLs.
//
// # Delivery
//
// At least once, within the process; receivers of a queue compete.
//
// # Delay
//
// Of any length.
package mem

import (
	"context"
	"log/slog"

	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// Scheme is the scheme of all three.
const Scheme = "mem"

// Register registers the store, the queues and the bucket.
func Register(s *drivers.Set) {
	s.AddStore(Scheme, drivers.StoreDriver{Open: openStore})
	s.AddQueue(Scheme, openQueue)
	s.AddBucket(Scheme, openBucket)
}

func openStore(_ context.Context, a *drivers.Address) (*docstore.Collection, func() error, error) {
	if err := a.Check(); err != nil {
		return nil, nil, err
	}
	coll, err := OpenCollection()
	if err != nil {
		return nil, nil, err
	}
	return coll, coll.Close, nil
}

// OpenCollection opens gocloud's memory store for records, with the lock that it needs: see
// [relay.Locked].
func OpenCollection() (*docstore.Collection, error) {
	inner, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		return nil, err
	}
	return relay.Locked(inner), nil
}

func openQueue(_ context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	return NewQueue(log), nil
}

// NewQueue returns queues in this process.
func NewQueue(log *slog.Logger) drivers.Queue {
	q := memqueue.New(nil)
	return drivers.NewQueue(drivers.Broker{Direct: q, Close: func(context.Context) error { return q.Close() }}, log)
}

func openBucket(_ context.Context, a *drivers.Address) (drivers.Bucket, error) {
	return drivers.Bucket{Bucket: memblob.OpenBucket(nil)}, a.Check()
}
