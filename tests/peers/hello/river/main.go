// Program river runs one job over PostgreSQL. River's tables are made by its own command before.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

type greetArgs struct{ Name string }

func (greetArgs) Kind() string { return "greet" }

type greeter struct {
	river.WorkerDefaults[greetArgs]
}

func (greeter) Work(ctx context.Context, job *river.Job[greetArgs]) error {
	return river.RecordOutput(ctx, "hello, "+job.Args.Name)
}

func main() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, greeter{})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 100}}, Workers: workers,
	})
	if err != nil {
		panic(err)
	}
	events, cancel := client.Subscribe(river.EventKindJobCompleted)
	defer cancel()
	if err := client.Start(ctx); err != nil {
		panic(err)
	}
	if _, err := client.Insert(ctx, greetArgs{"world"}, nil); err != nil {
		panic(err)
	}
	fmt.Println(string((<-events).Job.Output()))
	if err := client.Stop(ctx); err != nil {
		panic(err)
	}
}
