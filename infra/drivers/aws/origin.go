package aws

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/piecework/piecework/pubsubq"
)

// received is the attribute in which SQS tells how often it has delivered a message.
const received = sqstypes.MessageSystemAttributeNameApproximateReceiveCount

// origin reads what SQS tells of a message. Its count is approximate, which is all that it is for.
func origin(as func(any) bool) pubsubq.Origin {
	var m sqstypes.Message
	if !as(&m) {
		return pubsubq.Origin{}
	}
	n, err := strconv.Atoi(m.Attributes[string(received)])
	if err != nil {
		n = 0
	}
	return pubsubq.Origin{ID: aws.ToString(m.MessageId), Deliveries: n}
}
