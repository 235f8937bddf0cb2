package aws

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// callTime is the most that one request to DynamoDB, SQS or SNS may take, beside what it is asked
// to wait. A request answers in milliseconds; without a limit, a connection that has gone dead
// would hold a verb, and with it a lease, or a receiver, for as long as TCP likes.
const callTime = 10 * time.Second

// patient returns how the SDK repeats requests to DynamoDB: those that did not get there, or met a
// fault of the service, twice at most and soon. What DynamoDB throttled it does not repeat: package
// store waits, with jitter and longer each time, and counts how long. With both, each of its tries
// would be three requests and take seconds, and a heartbeat that is tried again could outlast its
// lease.
func patient() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxBackoff = time.Second
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(notThrottled)}, o.Retryables...)
	})
}

// notThrottled says no to what was throttled, and leaves the rest to others.
func notThrottled(err error) aws.Ternary {
	if throttled(err).Bool() {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// throttled tells whether DynamoDB was asked for too much.
func throttled(err error) aws.Ternary {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err)
}
