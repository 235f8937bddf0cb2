package servers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
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
