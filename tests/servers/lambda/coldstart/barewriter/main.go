// Command barewriter is a Lambda function that takes events of SQS and, for each message, writes a record twice under a
// condition: as often as a job that is claimed and finished is written, and no more. It uses Amazon's SDK and nothing else.
package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// data is as long as the record of a small job.
var data = []byte(strings.Repeat("x", 600))

type writer struct{ client *dynamodb.Client }

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithBaseEndpoint(os.Getenv("DYNAMODB")))
	if err != nil {
		panic(err)
	}
	w := writer{dynamodb.NewFromConfig(cfg)}
	lambda.Start(w.handle)
}

func (w writer) handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	out := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	var all sync.WaitGroup
	errs := make([]error, len(e.Records))
	for i, r := range e.Records {
		all.Go(func() { errs[i] = w.write(ctx, r.Body) })
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: e.Records[i].MessageId})
		}
	}
	return out, nil
}

// write writes twice, the second time at the revision of the first.
func (w writer) write(ctx context.Context, body string) error {
	var m struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return err
	}
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	item := func(rev, due string) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{
			"id": text("bare-" + m.ID), "rev": text(rev), "data": &types.AttributeValueMemberB{Value: data},
			"due_pk": text("due#bare"), "due_sk": text(due + m.ID), "list_pk": text("bare"), "list_sk": text(m.ID),
		}
	}
	in := &dynamodb.PutItemInput{TableName: aws.String(os.Getenv("TABLE")), Item: item("1", "0000000000000001#")}
	if _, err := w.client.PutItem(ctx, in); err != nil {
		return err
	}
	in.Item = item("2", "0000000000000002#")
	in.ConditionExpression, in.ExpressionAttributeValues = aws.String("rev = :rev"), map[string]types.AttributeValue{":rev": text("1")}
	_, err := w.client.PutItem(ctx, in)
	return err
}
