package localdev_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/tests/postgres"
)

var started = functions.Kind[int64, int64]("started")

// TestSeveralProcessesOverOneStore submits in one process and runs in another, with nothing but a store.
func TestSeveralProcessesOverOneStore(t *testing.T) {
	for name, cfg := range map[string]localdev.Config{
		"a directory": {Dir: t.TempDir()},
		"PostgreSQL":  {Dir: t.TempDir(), Store: postgres.Start(t), Drivers: drivers.New(sql.Register, files.Register)},
	} {
		t.Run(name, func(t *testing.T) {
			runs, submits := functions.NewRegistry(), functions.NewRegistry()
			started.Handle(runs, func(_ context.Context, job *functions.Job[int64]) (int64, error) {
				return time.Now().UnixNano() - job.Args, nil
			})
			started.Declare(submits)
			start(t, runs, cfg)
			client := start(t, submits, cfg).Client()
			var delays []time.Duration
			for range 21 {
				r, err := started.Submit(t.Context(), client, time.Now().UnixNano())
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // far below the grace
				d, err := started.Wait(ctx, client, r.ID)
				cancel()
				if err != nil {
					t.Fatalf("job of another process: %v, want its result", err)
				}
				delays = append(delays, time.Duration(d))
			}
			slices.Sort(delays)
			t.Logf("from submission in one process to start in another: p50 %v, p95 %v", delays[10], delays[19])
		})
	}
}
