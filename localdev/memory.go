package localdev

import (
	"fmt"
	"sync"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/memdocstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/localdev/internal/relay"
	"github.com/piecework/piecework/store"
)

// OpenMemory opens gocloud's memory store for records, with a lock around it. A query of that store reads documents while others
// update them in place, which ends the process ("concurrent map iteration and map write"); here no write goes on
// while a document of a query is read.
func OpenMemory() (*docstore.Collection, error) {
	inner, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		return nil, fmt.Errorf("open store in memory: %w", err)
	}
	var mu sync.RWMutex
	return relay.New(inner, relay.Hooks{
		Write: func(_ string, do func() error) error {
			mu.Lock()
			defer mu.Unlock()
			return do()
		},
		Read: func(do func() error) error {
			mu.RLock()
			defer mu.RUnlock()
			return do()
		},
		Code:  gcerrors.Code,
		Close: inner.Close,
	}), nil
}
