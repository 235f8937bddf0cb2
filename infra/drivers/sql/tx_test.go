package sql

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
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
