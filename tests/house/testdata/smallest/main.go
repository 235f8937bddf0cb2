// The smallest program: it runs jobs with SQLite and files, in one process.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
)

var Greet = functions.Kind[string, string]("greet") // its arguments and its result are strings
func greet(_ context.Context, job *functions.Job[string]) (string, error) {
	return "hello, " + job.Args, nil
}

func main() {
	ctx := context.Background()
	jobs := functions.NewRegistry()
	Greet.Handle(jobs, greet)
	stack, err := localdev.Start(ctx, jobs, localdev.Config{Dir: "piecework-data"})
	if err != nil {
		log.Fatal(err)
	}
	defer stack.Stop(ctx)
	receipt, err := Greet.Submit(ctx, stack.Client(), "world")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(Greet.Wait(ctx, stack.Client(), receipt.ID))
}
