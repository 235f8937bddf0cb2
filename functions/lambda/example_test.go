package lambda_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"gocloud.dev/blob/memblob"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/store"
)

// A message that SQS delivers names a job; the function runs it.
func ExampleExecute() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "greet", func(_ context.Context, job *functions.Job[string]) (string, error) {
		return "hello " + job.Args, nil
	})
	rt, err := inMemory(jobs)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rt.Close()
	handler, err := lambda.Execute(rt, nil) // for lambda.Start of aws-lambda-go
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	receipt, err := rt.Client().Submit(ctx, "greet", "world")
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := handler(ctx, json.RawMessage(`{"Records": [{
		"messageId": "19dd0b57", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:piecework-default",
		"body": "{\"id\":\"`+receipt.ID+`\"}"
	}]}`))
	fmt.Printf("%+v %v\n", answer, err)
	info, err := rt.Client().Get(ctx, receipt.ID)
	fmt.Println(info.State, string(info.Result), err)
	// Output:
	// {BatchItemFailures:[]} <nil>
	// succeeded "hello world" <nil>
}

// inMemory makes a runtime; a program opens a deployment's store, queues and bucket in place of
// these.
func inMemory(jobs *functions.Registry) (*functions.Runtime, error) {
	coll, err := mem.OpenCollection()
	if err != nil {
		return nil, err
	}
	st, err := store.New(coll, nil)
	if err != nil {
		return nil, err
	}
	return functions.New(jobs, functions.Backends{
		Store: st, Queue: pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: memqueue.New(nil)}), Blobs: blobout.New(memblob.OpenBucket(nil), nil),
	}, functions.Config{Log: slog.New(slog.DiscardHandler)})
}
