package localdev

import (
	"fmt"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// OpenMemory opens gocloud's memory store for records, with the lock around it that it needs: see [relay.Locked].
func OpenMemory() (*docstore.Collection, error) {
	inner, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		return nil, fmt.Errorf("open store in memory: %w", err)
	}
	return relay.Locked(inner), nil
}
