package servers

import (
	"fmt"
	"strings"
	"testing"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/tests/conformance"
)

func TestDynamoDB(t *testing.T) {
	fakeAWS(t)
	endpoint := DynamoDB(t)
	set := drivers.New(aws.Register)
	n := 0
	conformance.Store(t, conformance.StoreHarness{
		Indexed: func(plan string) bool { return strings.HasPrefix(plan, "Index: ") },
		New: func(t *testing.T) conformance.OpenStore {
			n++
			return provisioned(t, set, fmt.Sprintf("dynamodb://jobs-%d?region=us-east-1&endpoint=%s", n, endpoint))
		},
	})
}

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
