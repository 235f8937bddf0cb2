// Command puppet is a Lambda function that does what its event says, for the tests of the service that runs it. An event
// of SQS has the orders in the bodies of its messages, one each.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// order says what to do.
type order struct {
	Do     string `json:"do"`
	Millis int    `json:"millis"`
	Size   int    `json:"size"`
	File   string `json:"file"`
}

// ticks counts in the background, which shows whether the process was stopped.
var ticks atomic.Int64

func main() {
	switch os.Getenv("PUPPET_INIT") {
	case "exit":
		os.Exit(3)
	case "hang":
		<-time.After(time.Hour)
	case "once": // the first start fails, the second does not
		if err := os.Mkdir(os.Getenv("PUPPET_DIR"), 0o750); err == nil {
			os.Exit(4)
		}
	}
	go func() {
		for range time.Tick(time.Millisecond) {
			ticks.Add(1)
		}
	}()
	if os.Getenv("PUPPET_SIGTERM") == "" {
		lambda.Start(handle)
	}
	lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() {
		fmt.Println("told to end")
		if os.Getenv("PUPPET_SIGTERM") == "leave" {
			os.Exit(0)
		}
	}))
}

func handle(ctx context.Context, event json.RawMessage) (any, error) {
	var e struct {
		order
		events.SQSEvent
		events.LambdaFunctionURLRequest
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	if e.Records != nil {
		return messages(ctx, e.SQSEvent)
	}
	if e.RawPath != "" {
		return page(e.LambdaFunctionURLRequest, event)
	}
	return e.obey(ctx)
}

func (o order) obey(ctx context.Context) (any, error) {
	lc, _ := lambdacontext.FromContext(ctx)
	switch o.Do {
	case "fail":
		return nil, errors.New("as told")
	case "panic":
		panic("as told")
	case "exit":
		os.Exit(5)
	case "sleep":
		<-time.After(time.Duration(o.Millis) * time.Millisecond)
	case "touch":
		return "done", os.WriteFile(o.File, nil, 0o600)
	case "large":
		return strings.Repeat("x", o.Size), nil
	case "ticks":
		return ticks.Load(), nil
	case "pid":
		return os.Getpid(), nil
	case "environment":
		return os.Environ(), nil
	case "context":
		deadline, _ := ctx.Deadline()
		return map[string]any{"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "deadline": deadline.UnixMilli()}, nil
	}
	return "done", nil
}

// messages reports the messages whose order fails.
func messages(ctx context.Context, e events.SQSEvent) (any, error) {
	out := events.SQSEventResponse{}
	for _, m := range e.Records {
		var o order
		if err := json.Unmarshal([]byte(m.Body), &o); err != nil {
			return nil, err
		}
		if _, err := o.obey(ctx); err != nil {
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return out, nil
}

// page answers HTTP: /stream with many bytes, /broken with a stream that breaks off, anything else with the event.
func page(r events.LambdaFunctionURLRequest, event []byte) (any, error) {
	switch r.RawPath {
	case "/stream":
		return &events.LambdaFunctionURLStreamingResponse{
			StatusCode: 201, Headers: map[string]string{"Content-Type": "text/plain"}, Cookies: []string{"a=b"},
			Body: io.LimitReader(rand.Reader, 10<<20),
		}, nil
	case "/broken":
		return &events.LambdaFunctionURLStreamingResponse{
			StatusCode: 200, Body: io.MultiReader(strings.NewReader("half"), failing{}),
		}, nil
	}
	return events.LambdaFunctionURLResponse{
		StatusCode: 202, Headers: map[string]string{"X-Puppet": "yes"}, Cookies: []string{"c=d"}, Body: string(event),
	}, nil
}

// failing fails to be read.
type failing struct{}

// Read fails.
func (failing) Read([]byte) (int, error) { return 0, errors.New("broke off") }
