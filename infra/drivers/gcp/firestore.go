package gcp

import (
	"context"
	"errors"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/gcpfirestore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

// place is what a firestore URL says.
type place struct {
	project, database, collection string
	parallel                      int
	ttl                           bool
}

func parseStore(a *drivers.Address) (*place, error) {
	p := &place{
		project: a.Host, database: a.Params.String("database", "(default)"),
		parallel: a.Params.Int("parallel", 16, 1, 500), ttl: a.Params.Bool("ttl", false),
	}
	if err := a.WantHost("project"); err != nil {
		return nil, err
	}
	var err error
	if p.collection, err = name(a, "collection"); err != nil {
		return nil, err
	}
	return p, a.Check()
}

// ttl is the form of expiry that Firestore wants, if the URL asks for any.
func ttl(a *drivers.Address) store.TTL {
	if a.Params.Bool("ttl", false) {
		return store.TTLTime
	}
	return store.TTLNone
}

func openStore(ctx context.Context, a *drivers.Address) (*docstore.Collection, func() error, error) {
	p, err := parseStore(a)
	if err != nil {
		return nil, nil, err
	}
	ctx = context.WithoutCancel(ctx) // the client lives longer than the context of opening
	client, err := dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	resource := gcpfirestore.CollectionResourceIDWithDatabase(p.project, p.database, p.collection)
	coll, err := gcpfirestore.OpenCollection(client, resource, store.IDField, &gcpfirestore.Options{
		RevisionField:            store.RevisionField,
		MaxOutstandingActionRPCs: p.parallel, // a conditional write is one request a document, and has no limit otherwise
		// AllowLocalFilters stays false: a query that no index serves is refused.
	})
	if err != nil {
		return nil, nil, errors.Join(a.Errorf("%w", err), client.Close())
	}
	return coll, func() error { return errors.Join(coll.Close(), client.Close()) }, nil
}
