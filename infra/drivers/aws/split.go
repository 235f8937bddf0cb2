package aws

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/store/relay"
)

// split returns a collection whose reads by id are strongly consistent and whose queries are
// eventually consistent. gocloud has one switch for both, and global indexes refuse consistent
// queries. It forwards to the one collection and sets what differs in the requests, so that opening
// costs one DescribeTable. Close leaves inner open.
func split(inner *docstore.Collection) *docstore.Collection {
	return relay.New(inner, relay.Hooks{
		BeforeDo: func(as func(any) bool) error {
			var get *dynamodb.BatchGetItemInput
			if as(&get) {
				for table, keys := range get.RequestItems {
					keys.ConsistentRead = aws.Bool(true)
					get.RequestItems[table] = keys
				}
			}
			return nil
		},
		BeforeQuery: func(q *driver.Query, as func(any) bool) error {
			var in *dynamodb.QueryInput
			if q.Limit > 0 && as(&in) {
				// gocloud counts on its own side; DynamoDB would read, and charge for, a megabyte a
				// page.
				in.Limit = aws.Int32(int32(q.Limit + q.Offset))
			}
			return nil
		},
	})
}
