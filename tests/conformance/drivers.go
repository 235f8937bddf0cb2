package conformance

import (
	"log/slog"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/infra/drivers"
)

// NewStore creates what a store needs, twice since that must not matter, and returns how a process opens it.
func NewStore(t *testing.T, set *drivers.Set, rawURL string) OpenStore {
	t.Helper()
	p, err := set.Provisioner(drivers.Config{Store: rawURL})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return StoreOf(set, rawURL)
}

// StoreOf returns how a process opens a store that needs no preparation.
func StoreOf(set *drivers.Set, rawURL string) OpenStore {
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

// ConnectTo returns how a process connects to the queues of a URL.
func ConnectTo(set *drivers.Set, rawURL string) func(t *testing.T) Connection {
	set.LogTo(slog.New(slog.DiscardHandler)) // that a broker was away is what some of the tests are about
	return func(t *testing.T) Connection {
		t.Helper()
		q, err := set.OpenQueue(t.Context(), rawURL)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
}

// BucketOf opens a bucket until the test ends.
func BucketOf(t *testing.T, set *drivers.Set, rawURL string) *blob.Bucket {
	t.Helper()
	b, err := set.OpenBucket(t.Context(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b.Bucket
}
