package servers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/conformance"
)

func TestDynamoDB(t *testing.T) {
	FakeAWS(t)
	endpoint := DynamoDB(t)
	set := drivers.New(aws.Register)
	n := 0
	conformance.Store(t, conformance.StoreHarness{
		TTL:     store.TTLSeconds,
		Indexed: func(plan string) bool { return strings.HasPrefix(plan, "Index: ") },
		New: func(t *testing.T) conformance.OpenStore {
			n++
			return conformance.NewStore(t, set, fmt.Sprintf("dynamodb://jobs-%d?region=us-east-1&ttl=true&endpoint=%s", n, endpoint))
		},
	})
}

func TestMongoDB(t *testing.T) {
	t.Parallel()
	server := MongoDB(t)
	set := drivers.New(mongo.Register)
	n := 0
	conformance.Store(t, conformance.StoreHarness{
		TTL:     store.TTLTime,
		Records: 5000, // FerretDB reads a whole partition of an index for each page; MongoDB reads the page
		New: func(t *testing.T) conformance.OpenStore {
			n++
			return conformance.NewStore(t, set, fmt.Sprintf("%s/piecework?collection=jobs%d", server, n))
		},
	})
}
