// Package aws registers DynamoDB as a store, SQS (alone or behind SNS) as queues, and S3 and
// compatibles as buckets.
//
// # URLs
//
//	dynamodb://TABLE?region=eu-central-1
//	awssqs://sqs.eu-central-1.amazonaws.com/123456789012/piecework-{queue}
//	awssns:///arn:aws:sns:eu-central-1:123456789012:piecework-{queue}?queue=https://sqs.../123456789012/piecework-{queue}
//	s3://BUCKET?region=eu-central-1
//
// An SQS URL has the host and path of the queue's URL. SNS sends to the topic, and receives from
// the queue that is subscribed to it, with raw message delivery.
//
// # Parameters
//
// Of all:
//
//	region, profile, role, anonymous, dualstack, fips, rate_limiter_capacity,
//	request_checksum_calculation, response_checksum_validation         as gocloud.dev/aws has them
//	endpoint=http://127.0.0.1:8000    another server than Amazon's
//
// Of dynamodb:
//
//	parallel=16         requests of one bulk write at a time
//	allow_scans=false   answer queries that no index serves from the whole table; package fsck needs that, nothing else
//	ttl=false           true: init lets DynamoDB delete by the attribute "expires", and jobs without files get one, which
//	                    saves the write that removes them. The same for all processes, and for init
//
// Of awssqs and awssns:
//
//	prefetch=1          messages fetched at a time, up to 10
//	visibility=30s      how long a received message is hidden from others; extended while it is held here
//	hold=15m            how long that goes on for one message
//	wait=20s            long polling
//	queue=, raw=true    awssns only: where to receive from, and whether SNS delivers raw
//
// Of s3:
//
//	prefix=             a folder in the bucket
//	ssetype, kmskeyid   encryption, as gocloud's s3blob has them
//	accelerate=false
//	use_path_style      default: true if there is an endpoint, since most compatibles want it
//
// # Environment and credentials
//
// The SDK's: AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, the shared
// files, the role of the function, task or instance.
//
// Rights: dynamodb DescribeTable, BatchGetItem, PutItem, UpdateItem, DeleteItem, and Query on the
// indexes; sqs SendMessage, ReceiveMessage, DeleteMessage, ChangeMessageVisibility; sns Publish; s3
// GetObject, PutObject, DeleteObject, ListBucket. The doctor also reads sqs GetQueueAttributes.
//
// # Limits
//
// An item is at most 400 KB, attribute names included; a partition of an index takes about 1000
// writes a second, which is why due records are spread over shards. A message is at most 1 MiB
// (SNS: 256 KB), with 10 attributes. SQS names have no dots. FIFO queues are refused: hints need no
// order, and FIFO has no delay for one message.
//
// # Delivery
//
// SQS: at least once, unordered; a nacked message comes again after a second, a forgotten one after
// visibility. Reads by id are strongly consistent. Queries run on the indexes, which lag by a
// moment. What DynamoDB throttles is left to package store, which waits, with jitter and longer
// each time; the SDK repeats only what did not get there, twice, and no request lasts longer than
// ten seconds.
//
// # Delay
//
// SQS: up to 15 minutes. SNS: none.
package aws

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	gcaws "gocloud.dev/aws"

	"github.com/piecework/piecework/infra/drivers"
)

// Register registers the store dynamodb, the queues awssqs and awssns, and the bucket s3.
func Register(s *drivers.Set) {
	s.AddStore("dynamodb", drivers.StoreDriver{Open: openTable, Provisioner: provisioner, TTL: ttl})
	s.AddQueue("awssqs", openSQS)
	s.AddQueue("awssns", openSNS)
	s.AddBucket("s3", openBucket)
	s.AddDenial(denied)
}

// common are the parameters that gocloud turns into the SDK's configuration.
var common = []string{
	"region", "profile", "role", "anonymous", "dualstack", "fips", "rate_limiter_capacity", "request_checksum_calculation",
	"response_checksum_validation",
}

// session is what all services need: the SDK's configuration, and the endpoint if it is not
// Amazon's.
type session struct {
	config   aws.Config
	endpoint *string
}

// newSession reads the parameters that all services have. It must come after the getters of the
// service's own, because it checks them all. The region comes from the URL, else from the
// environment, else from hint.
func newSession(ctx context.Context, a *drivers.Address, hint string) (session, error) {
	var s session
	if e := a.Params.String("endpoint", ""); e != "" {
		s.endpoint = &e
	}
	values := a.Params.Rest(common...)
	if err := a.Check(); err != nil {
		return s, err
	}
	if hint != "" && !values.Has("region") {
		values.Set("region", hint)
	}
	var err error
	if s.config, err = gcaws.V2ConfigFromURLParams(ctx, values); err != nil {
		return s, a.Errorf("AWS configuration: %w", err)
	}
	if s.config.Region == "" {
		return s, a.Errorf("no region: add region=... to the URL or set AWS_REGION")
	}
	return s, nil
}

// callTime is the most that one request to DynamoDB, SQS or SNS may take, beside what it is asked
// to wait. A request answers in milliseconds; without a limit, a connection that has gone dead
// would hold a verb, and with it a lease, or a receiver, for as long as TCP likes.
const callTime = 10 * time.Second

// patientFor returns a client whose requests take no longer than that.
func (s session) patientFor(most time.Duration) aws.HTTPClient {
	switch client := s.config.HTTPClient.(type) {
	case nil:
		return awshttp.NewBuildableClient().WithTimeout(most)
	case *awshttp.BuildableClient: // it may have a proxy's certificates
		return client.WithTimeout(most)
	default:
		return client
	}
}

// refusals are the codes of errors that mean a lack of rights.
var refusals = []string{
	"AccessDeniedException", "AccessDenied", "AuthorizationError", "AuthorizationErrorException", "InvalidSecurity",
	"UnauthorizedOperation", "Forbidden", "AWS.SimpleQueueService.AccessDenied",
}

// actions are the rights that are not named after their operation.
var actions = map[string]string{
	"SQS.SendMessageBatch": "sqs:SendMessage", "SQS.DeleteMessageBatch": "sqs:DeleteMessage",
	"SQS.ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility", "SNS.PublishBatch": "sns:Publish",
	"S3.HeadObject": "s3:GetObject", "S3.HeadBucket": "s3:ListBucket", "S3.ListObjectsV2": "s3:ListBucket", "S3.ListObjects": "s3:ListBucket",
	"S3.CreateMultipartUpload": "s3:PutObject", "S3.UploadPart": "s3:PutObject", "S3.CompleteMultipartUpload": "s3:PutObject",
	"S3.CopyObject": "s3:PutObject", "S3.DeleteObjects": "s3:DeleteObject",
}

// named finds the right and its resource in the text of an error, where Amazon tells them.
var named = regexp.MustCompile(`not authorized to perform: ([\w:*]+)(?: on resource: ("?)([^\s"]+))?`)

// denied says what to grant.
func denied(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) || !slices.Contains(refusals, api.ErrorCode()) {
		return ""
	}
	if m := named.FindStringSubmatch(api.ErrorMessage()); m != nil {
		if m[3] == "" {
			return "grant " + m[1] + " to this process's role"
		}
		return "grant " + m[1] + " on " + m[3] + " to this process's role"
	}
	var op *smithy.OperationError
	if !errors.As(err, &op) {
		return ""
	}
	action, ok := actions[op.Service()+"."+op.Operation()]
	if !ok {
		action = strings.ToLower(op.Service()) + ":" + op.Operation()
	}
	return "grant " + action + " to this process's role"
}
