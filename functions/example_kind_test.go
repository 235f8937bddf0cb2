package functions_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/piecework/piecework/functions"
)

// Report is the arguments of the example's kind, and Sums its result.
type (
	Report struct{ Month string }
	Sums   struct{ Orders, Euros int }
)

// sales is the value that all programs share.
var sales = functions.Kind[Report, Sums]("report.sales", functions.MaxAttempts(1), functions.Queue("reports"))

// A kind has the types of its arguments and its result, for the program that runs its jobs and for those that submit
// them and read what came of them.
func ExampleKind() {
	jobs, ctx := functions.NewRegistry(), context.Background()
	sales.Handle(jobs, func(_ context.Context, job *functions.Job[Report]) (Sums, error) {
		if job.Args.Month == "" {
			return Sums{}, errors.New("which month?")
		}
		return Sums{Orders: 3, Euros: 120}, nil
	})
	shop := open(jobs)
	good, err := sales.Submit(ctx, shop.Client, Report{Month: "2026-11"})
	if err != nil {
		fmt.Println(err)
		return
	}
	bad, _ := sales.Submit(ctx, shop.Client, Report{})
	shop.run() // a worker
	sums, err := sales.Wait(ctx, shop.Client, good.ID)
	fmt.Println(sums.Euros, err)
	_, err = sales.Wait(ctx, shop.Client, bad.ID)
	if ended, ok := errors.AsType[*functions.EndedError](err); ok {
		fmt.Println(ended.State, ended.Attempts, ended.Text)
	}
	// Output:
	// 120 <nil>
	// failed 1 which month?
}
