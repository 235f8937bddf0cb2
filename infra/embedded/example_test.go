package embedded_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/infra/embedded"
)

// A program that submits, runs jobs, serves the HTTP API and answers probes. Another store, queue or
// bucket is another URL, and its driver in the set.
func Example() {
	dir, err := os.MkdirTemp("", "piecework")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	greet := functions.Kind[string, string]("greet")
	jobs := functions.NewRegistry()
	greet.Handle(jobs, func(_ context.Context, job *functions.Job[string]) (string, error) { return "hello, " + job.Args, nil })

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cfg := embedded.Config{Log: slog.New(slog.DiscardHandler)}
	cfg.Store, cfg.Queues, cfg.Blobs = "sqlite://"+dir+"/jobs.db", "mem://{queue}", "file://"+dir+"/blobs"
	sys, err := embedded.Open(ctx, jobs, drivers.New(sql.Register, mem.Register, files.Register), cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux, ran := http.NewServeMux(), make(chan error)
	mux.Handle("/healthz", sys.Health())
	go func() { ran <- sys.Run(ctx) }()

	receipt, err := greet.Submit(ctx, sys.Client(), "world")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(greet.Wait(ctx, sys.Client(), receipt.ID))
	probe := httptest.NewRecorder()
	mux.ServeHTTP(probe, httptest.NewRequestWithContext(ctx, http.MethodGet, "/healthz", nil))
	fmt.Print(probe.Code, " ", probe.Body)

	stop()
	fmt.Println(<-ran, sys.Close(ctx))
	// Output:
	// hello, world <nil>
	// 200 {"status":"ok","checks":{"queue":"ok","store":"ok","worker":"ok"}}
	// <nil> <nil>
}
