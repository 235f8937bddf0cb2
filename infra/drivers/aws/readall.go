package aws

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
)

// readTries is how often a bulk read asks for what is left of it.
const readTries = 6

// readAll makes a bulk read complete. DynamoDB returns a part, and names the rest, when it
// throttles or when the items exceed 16 MB. gocloud takes the rest for not found, and hints of jobs
// that are not found are dropped.
func readAll(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("PieceworkReadAll", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleInitialize(ctx, in)
		first, ok := in.Parameters.(*dynamodb.BatchGetItemInput)
		got, isGet := out.Result.(*dynamodb.BatchGetItemOutput)
		if err != nil || !ok || !isGet {
			return out, meta, err
		}
		for try := 0; len(got.UnprocessedKeys) > 0; try++ {
			if try == readTries {
				// As if everything had been throttled: the caller then takes no item for missing.
				return out, meta, &types.ProvisionedThroughputExceededException{
					Message: aws.String("bulk read is incomplete after several tries"),
				}
			}
			if err := pause(ctx, try); err != nil {
				return out, meta, err
			}
			rest := *first
			rest.RequestItems = got.UnprocessedKeys
			more, _, err := next.HandleInitialize(ctx, middleware.InitializeInput{Parameters: &rest})
			if err != nil {
				return out, meta, err
			}
			answer := more.Result.(*dynamodb.BatchGetItemOutput)
			for table, items := range answer.Responses {
				if got.Responses == nil {
					got.Responses = map[string][]map[string]types.AttributeValue{}
				}
				got.Responses[table] = append(got.Responses[table], items...)
			}
			got.UnprocessedKeys = answer.UnprocessedKeys
		}
		return out, meta, nil
	}), middleware.After)
}

// pause waits 25 ms, doubled with each try; half of it is jitter.
func pause(ctx context.Context, try int) error {
	full := 25 * time.Millisecond << try
	t := time.NewTimer(full/2 + rand.N(full/2))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
