package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/localdev"
)

// A server over a system in this process, and a client that submits a job to it and waits for its result.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	jobs := functions.NewRegistry()
	functions.Handle(jobs, "greet", func(_ context.Context, job *functions.Job[string]) (string, error) {
		return "hello, " + job.Args, nil
	})
	stack, err := localdev.Start(ctx, jobs, localdev.Config{Store: "sqlite::memory:", Blobs: "mem://"})
	if err != nil {
		panic(err)
	}
	defer stack.Stop(ctx)

	token := "operator-of-this-example"
	api, err := httpapi.New(stack.Runtime(), &httpapi.Options{Tokens: []httpapi.Token{{Value: token, Role: httpapi.Operator, Name: "example"}}})
	if err != nil {
		panic(err)
	}
	ln, err := api.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go api.Serve(ctx, ln)

	client, err := apiclient.New("http://"+ln.Addr().String(), &apiclient.Options{Token: token})
	if err != nil {
		panic(err)
	}
	receipt, err := client.Submit(ctx, wire.Submit{Kind: "greet", Args: json.RawMessage(`"world"`)})
	if err != nil {
		panic(err)
	}
	job, err := client.Wait(ctx, receipt.ID, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(job.State, string(job.Result))
	// Output: succeeded "hello, world"
}
