package servers

import (
	"testing"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/tests/conformance"
)

// provisioned creates what a store needs, twice since that must not matter, and opens it.
func provisioned(t *testing.T, set *drivers.Set, rawURL string) conformance.OpenStore {
	t.Helper()
	p, err := set.Provisioner(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return opened(set, rawURL)
}

// opened returns how a process opens a store.
func opened(set *drivers.Set, rawURL string) conformance.OpenStore {
	return func(t *testing.T) *docstore.Collection {
		t.Helper()
		coll, closeStore, err := set.OpenStore(t.Context(), rawURL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := closeStore(); err != nil {
				t.Error(err)
			}
		})
		return coll
	}
}
