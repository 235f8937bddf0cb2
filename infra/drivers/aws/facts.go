package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

// facts tells whether the table expires records, and DynamoDB's time, which the answer's head has to the second.
func facts(ctx context.Context, a *drivers.Address, coll *docstore.Collection) (*drivers.StoreFacts, error) {
	var client *dynamodb.Client
	if !coll.As(&client) {
		return nil, nil
	}
	f, clock := &drivers.StoreFacts{}, drivers.Clock{Sent: time.Now(), Grain: time.Second}
	out, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &a.Host})
	if err != nil {
		return f, fmt.Errorf("describe expiry of table %s: %w", a.Host, err)
	}
	clock.Received = time.Now()
	if server, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		clock.Server, f.Clock = server, &clock
	}
	f.Expires, f.Expiry = drivers.No, "time to live is off"
	if d := out.TimeToLiveDescription; d != nil {
		on := d.TimeToLiveStatus == types.TimeToLiveStatusEnabled || d.TimeToLiveStatus == types.TimeToLiveStatusEnabling
		f.Expiry = "time to live is " + string(d.TimeToLiveStatus)
		if field := aws.ToString(d.AttributeName); field != "" {
			f.Expiry += fmt.Sprintf(" by the attribute %q", field)
			if on && field == store.ExpiresField {
				f.Expires = drivers.Yes
			}
		}
	}
	return f, nil
}

// advisedFactor and leastDeliveries are what Amazon advises for a queue that calls a function.
const (
	advisedFactor   = 6
	leastDeliveries = 5
	mostHidden      = 12 * time.Hour
)

// inspect tells a queue's visibility timeout and dead letters.
func (r reception) inspect(client *sqs.Client) func(context.Context, string) (*drivers.LaneFacts, error) {
	return func(ctx context.Context, lane string) (*drivers.LaneFacts, error) {
		if r.queue == "" {
			return &drivers.LaneFacts{Unseen: "the URL names no SQS queue, by queue=, that is subscribed to the topic"}, nil
		}
		queue := drivers.InLane(r.queue, lane)
		have, err := attributesOf(ctx, client, queue, sqstypes.QueueAttributeNameVisibilityTimeout, sqstypes.QueueAttributeNameRedrivePolicy)
		if err != nil {
			return nil, err
		}
		seconds, _ := strconv.Atoi(have[string(sqstypes.QueueAttributeNameVisibilityTimeout)]) // SQS writes numbers
		f := &drivers.LaneFacts{
			Hidden: time.Duration(seconds) * time.Second, HiddenName: "visibility timeout", Extended: true,
			HiddenRemedy: "set VisibilityTimeout of " + queue, Factor: advisedFactor, Most: mostHidden,
			DeadLetters: drivers.No, DeadRemedy: "make a queue and name it in the RedrivePolicy of " + queue + ", with a maxReceiveCount of 5 or more",
			LeastDeliveries: leastDeliveries, Waiting: -1,
		}
		policy := have[string(sqstypes.QueueAttributeNameRedrivePolicy)]
		if policy == "" {
			return f, nil
		}
		var redrive struct {
			Target  string      `json:"deadLetterTargetArn"`
			Receive json.Number `json:"maxReceiveCount"` // a number, or one in quotes
		}
		if err := json.Unmarshal([]byte(policy), &redrive); err != nil {
			return f, fmt.Errorf("redrive policy %s of queue %s: %w", policy, queue, err)
		}
		f.DeadLetters, f.DeadLetterQueue = drivers.Yes, redrive.Target
		f.Deliveries, _ = strconv.Atoi(redrive.Receive.String())
		f.DeadRemedy = "mend what made them fail, then start a redrive of the queue, or purge it: jobs are not lost by it, because sweep sends their hints again"
		f.Waiting, err = deadLetters(ctx, client, redrive.Target)
		return f, err
	}
}

// deadLetters counts what waits in the queue of an ARN.
func deadLetters(ctx context.Context, client *sqs.Client, arn string) (int, error) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 {
		return -1, fmt.Errorf("dead-letter queue %q: want an ARN", arn)
	}
	out, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &parts[5], QueueOwnerAWSAccountId: &parts[4]})
	if err != nil {
		return -1, fmt.Errorf("find dead-letter queue %s: %w", arn, err)
	}
	name := sqstypes.QueueAttributeNameApproximateNumberOfMessages
	have, err := attributesOf(ctx, client, aws.ToString(out.QueueUrl), name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(have[string(name)])
}

// attributesOf reads attributes of a queue.
func attributesOf(ctx context.Context, client *sqs.Client, queue string, names ...sqstypes.QueueAttributeName) (map[string]string, error) {
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: names})
	if err != nil {
		return nil, fmt.Errorf("attributes of queue %s: %w", queue, err)
	}
	return out.Attributes, nil
}
