// Program piecework runs one job over PostgreSQL.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/infra/embedded"
)

var greet = functions.Kind[string, string]("greet")

func main() {
	ctx, stop := context.WithCancel(context.Background())
	jobs := functions.NewRegistry()
	greet.Handle(jobs, func(_ context.Context, job *functions.Job[string]) (string, error) { return "hello, " + job.Args, nil })
	cfg := embedded.Config{Config: drivers.Config{Store: os.Getenv("DATABASE_URL")}}
	sys, err := embedded.Open(ctx, jobs, drivers.New(sql.Register, files.Register), cfg)
	if err != nil {
		panic(err)
	}
	done := make(chan error, 1)
	go func() { done <- sys.Run(ctx) }()
	receipt, err := greet.Submit(ctx, sys.Client(), "world")
	if err != nil {
		panic(err)
	}
	fmt.Println(greet.Wait(ctx, sys.Client(), receipt.ID))
	stop()
	if err := <-done; err != nil {
		panic(err)
	}
}
