package servers

import (
	"fmt"
	"testing"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/conformance"
)

func TestMongoDB(t *testing.T) {
	t.Parallel()
	server := MongoDB(t)
	set := drivers.New(mongo.Register)
	n := 0
	conformance.Store(t, conformance.StoreHarness{
		TTL:     store.TTLTime,
		Records: 1000, // FerretDB reads every document for a query by more than one field; MongoDB has the index
		New: func(t *testing.T) conformance.OpenStore {
			n++
			return conformance.NewStore(t, set, fmt.Sprintf("%s/piecework?collection=jobs%d", server, n))
		},
	})
}
