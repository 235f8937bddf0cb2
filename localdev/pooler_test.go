package localdev_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/tests/postgres"
)

// Two processes over one PgBouncer in transaction mode, which has fewer connections to the server
// than either of them opens, run all their jobs and have nothing to complain of.
func TestTwoStacksBehindAPooler(t *testing.T) {
	pooler := postgres.StartPooler(t, postgres.Start(t), "transaction")
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "double", func(_ context.Context, job *functions.Job[int]) (int, error) { return 2 * job.Args, nil })
	var log lockedBuffer
	const submitters, each = 50, 20 // 1,000 jobs a stack
	var wg sync.WaitGroup
	for range 2 {
		s, err := localdev.Start(t.Context(), jobs, localdev.Config{
			Store: pooler, Blobs: "mem://", Drivers: drivers.New(sql.Register, mem.Register), Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, s) })
		for range submitters {
			wg.Go(func() {
				for n := range each {
					r, err := s.Client().Submit(t.Context(), "double", n)
					if err != nil {
						t.Error("submit:", err)
						return
					}
					info, err := s.Client().Wait(t.Context(), r.ID)
					if got, rerr := functions.Kind[any, int](info.Kind).Result(info); err != nil || rerr != nil || got != 2*n {
						t.Errorf("job %s is %s with result %d (%v, %v), want %d", r.ID, info.State, got, err, rerr, 2*n)
					}
				}
			})
		}
	}
	wg.Wait()
	if text := log.String(); text != "" {
		t.Errorf("the log complains:\n%s\nwant nothing", text)
	}
}

// lockedBuffer is a log of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
