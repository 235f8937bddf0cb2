// Program temporal runs one workflow of one activity over a Temporal server.
package main

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

func greetActivity(_ context.Context, name string) (string, error) { return "hello, " + name, nil }

func greet(ctx workflow.Context, name string) (string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	var text string
	err := workflow.ExecuteActivity(ctx, greetActivity, name).Get(ctx, &text)
	return text, err
}

func main() {
	ctx := context.Background()
	c, err := client.Dial(client.Options{})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	w := worker.New(c, "default", worker.Options{})
	w.RegisterWorkflow(greet)
	w.RegisterActivity(greetActivity)
	if err := w.Start(); err != nil {
		panic(err)
	}
	defer w.Stop()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: "default"}, greet, "world")
	if err != nil {
		panic(err)
	}
	var text string
	err = run.Get(ctx, &text)
	fmt.Println(text, err)
}
