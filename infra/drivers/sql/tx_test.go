package sql

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/embedded"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/tests/postgres"
)

var double = functions.Kind[int, int]("double")

// process opens what a process of a deployment opens that has one database.
func process(t *testing.T, store string) (*drivers.Opened, *functions.Client) {
	t.Helper()
	o, err := drivers.New(Register, files.Register).Open(t.Context(), drivers.Config{Store: store, Blobs: "file://" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	jobs := functions.NewRegistry()
	double.Declare(jobs)
	rt, err := functions.New(jobs, o.Backends, functions.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(rt.Close(), o.Close(context.WithoutCancel(t.Context()))); err != nil {
			t.Error(err)
		}
	})
	return o, rt.Client()
}

// ender is what the transactions of both libraries have.
type ender struct{ commit, rollback func() error }

func TestSubmitTx(t *testing.T) {
	postgresURL, file := postgres.Start(t), "sqlite://"+filepath.Join(t.TempDir(), "jobs.db")
	overSQL := func(driver, dsn string) func(t *testing.T) (any, ender) {
		return func(t *testing.T) (any, ender) {
			t.Helper()
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return tx, ender{tx.Commit, tx.Rollback}
		}
	}
	for name, c := range map[string]struct {
		store string
		begin func(t *testing.T) (any, ender)
	}{
		"pgx": {postgresURL, func(t *testing.T) (any, ender) {
			t.Helper()
			conn, err := pgx.Connect(t.Context(), postgresURL)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return tx, ender{
				func() error { return tx.Commit(t.Context()) },
				func() error { return tx.Rollback(t.Context()) },
			}
		}},
		"database/sql over PostgreSQL": {postgresURL, overSQL("pgx", postgresURL)},
		"database/sql over SQLite":     {file, overSQL("sqlite", "file:"+strings.TrimPrefix(file, "sqlite://")+"?_pragma=busy_timeout(10000)&_txlock=immediate")},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := process(t, c.store)
			reader, _ := process(t, c.store)
			receiver := reader.Queues.Receiver(functions.DefaultQueue)
			t.Cleanup(func() { _ = receiver.Shutdown(context.WithoutCancel(t.Context())) })

			tx, end := c.begin(t)
			lost, err := double.SubmitTx(t.Context(), client, tx, 1, functions.Key("lost"+name))
			if err != nil {
				t.Fatal(err)
			}
			if err := end.rollback(); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Get(t.Context(), lost.ID); !errors.Is(err, functions.ErrNotFound) {
				t.Errorf("Get() = %v after the rollback, want ErrNotFound", err)
			}

			tx, end = c.begin(t)
			kept, err := double.SubmitTx(t.Context(), client, tx, 2, functions.Key("kept"+name))
			if err != nil {
				t.Fatal(err)
			}
			again, err := double.SubmitTx(t.Context(), client, tx, 2, functions.Key("kept"+name))
			if err != nil || again.ID != kept.ID || !again.Existing {
				t.Errorf("SubmitTx() with the same key = %+v, %v, want the same job %s as existing", again, err, kept.ID)
			}
			if _, err := client.Get(t.Context(), kept.ID); !errors.Is(err, functions.ErrNotFound) {
				t.Errorf("Get() = %v before the commit, want ErrNotFound", err)
			}
			none, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			ds, err := receiver.Receive(none, 10)
			cancel()
			if err == nil {
				t.Errorf("received %s before the commit, want nothing", ds[0].Body)
			}
			if err := end.commit(); err != nil {
				t.Fatal(err)
			}
			if i, err := client.Get(t.Context(), kept.ID); err != nil || i.State != functions.StateQueued {
				t.Errorf("Get() = %s, %v after the commit, want a queued job", i.State, err)
			}
			soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			ds, err = receiver.Receive(soon, 10)
			if err != nil || len(ds) != 1 {
				t.Fatalf("received %d, %v after the commit, want one message", len(ds), err)
			}
			if m, err := pubsubq.DecodeMessage(ds[0].Body, ds[0].Metadata); err != nil || m.ID != kept.ID {
				t.Errorf("message %+v, %v, want one of job %s", m, err, kept.ID)
			}
			ds[0].Ack()
		})
	}
}

func TestSubmitTxRefusesWhatIsNoTransactionOfTheDatabase(t *testing.T) {
	_, client := process(t, "sqlite://"+filepath.Join(t.TempDir(), "jobs.db"))
	var pg pgx.Tx = &struct{ pgx.Tx }{}
	for want, tx := range map[string]any{"is a string": "tx", "pgx.Tx": pg} {
		if _, err := double.SubmitTx(t.Context(), client, tx, 1); !errors.Is(err, functions.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("SubmitTx(%T) = %v, want ErrInvalid that says %q", tx, err, want)
		}
	}
}

// All is over the application's own small pool, in a schema: jobs run, one of them submitted in a transaction, and the
// pool is the application's afterwards.
func TestOverAPool(t *testing.T) {
	config, err := pgxpool.ParseConfig(postgres.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 3
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "CREATE SCHEMA work"); err != nil {
		t.Fatal(err)
	}
	jobs := functions.NewRegistry()
	double.Handle(jobs, func(_ context.Context, job *functions.Job[int]) (int, error) { return 2 * job.Args, nil })
	cfg := embedded.Config{Log: slog.New(slog.DiscardHandler)}
	cfg.Store, cfg.Blobs = "pool://?schema=work&table=jobs", "file://"+t.TempDir()
	sys, err := embedded.Open(t.Context(), jobs, drivers.New(Over(pool), files.Register), cfg)
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sys.Run(run) }()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first, err := double.SubmitTx(t.Context(), sys.Client(), tx, 7)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	subs := make([]functions.Submission, 300)
	for i := range subs {
		subs[i] = double.Submission(i)
	}
	receipts, err := sys.Client().SubmitMany(t.Context(), subs)
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, r := range append(receipts, first) {
		want := 2 * i
		if r.ID == first.ID {
			want = 14
		}
		if n, err := double.Wait(soon, sys.Client(), r.ID); err != nil || n != want {
			t.Fatalf("job %d: %d, %v; want %d", i, n, err, want)
		}
	}
	stop()
	if err := errors.Join(<-done, sys.Close(t.Context())); err != nil {
		t.Errorf("end: %v, want nil", err)
	}
	var n int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM work.jobs WHERE id LIKE 'job%'").Scan(&n); err != nil || n != 301 {
		t.Errorf("%d jobs, %v, in the application's schema, want 301", n, err)
	}
	var settings string
	if err := pool.QueryRow(t.Context(), "SHOW enable_seqscan").Scan(&settings); err != nil || settings != "on" {
		t.Errorf("enable_seqscan is %q, %v, want on, as it was", settings, err)
	}
}

// The first submission of a kind in a transaction that stays open keeps nobody from submitting kinds that are new, too.
func TestAnOpenTransactionKeepsTheDirectoryOfKindsFree(t *testing.T) {
	url := postgres.Start(t)
	_, client := process(t, url)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := double.SubmitTx(t.Context(), client, tx, 1); err != nil {
		t.Fatal(err)
	}
	_, other := process(t, url)
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, c := range []*functions.Client{client, other} {
		if _, err := double.Submit(soon, c, 2); err != nil {
			t.Errorf("Submit() beside the transaction = %v, want nil", err)
		}
	}
	var none *sql.Tx
	for _, tx := range []any{nil, none} {
		if _, err := double.SubmitTx(t.Context(), client, tx, 1); !errors.Is(err, functions.ErrInvalid) {
			t.Errorf("SubmitTx(%T nil) = %v, want ErrInvalid", tx, err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
}
