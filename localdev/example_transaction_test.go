package localdev_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
)

// Welcome is a kind of jobs.
var Welcome = functions.Kind[string, string]("mail.welcome")

// shop is a program with a table of its own in the file that also has its jobs.
func shop(ctx context.Context) (*sql.DB, *localdev.Stack, func()) {
	dir, err := os.MkdirTemp("", "shop")
	must(err)
	file := filepath.Join(dir, "shop.db")
	jobs := functions.NewRegistry()
	Welcome.Handle(jobs, func(_ context.Context, job *functions.Job[string]) (string, error) {
		return "welcome, " + job.Args, nil
	})
	stack, err := localdev.Start(ctx, jobs, localdev.Config{
		Dir: dir, Store: "sqlite://" + file, Log: slog.New(slog.DiscardHandler),
	})
	must(err)
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	must(err)
	_, err = db.ExecContext(ctx, `CREATE TABLE customers (name TEXT); CREATE TABLE outbox (key TEXT PRIMARY KEY, kind TEXT, args TEXT)`)
	must(err)
	return db, stack, func() {
		_ = db.Close()
		_ = stack.Stop(ctx)
		_ = os.RemoveAll(dir)
	}
}

// A job is submitted in the transaction that writes the program's own row: both are there when it
// commits, or neither.
func Example_transaction() {
	ctx := context.Background()
	db, stack, end := shop(ctx)
	defer end()

	tx, err := db.BeginTx(ctx, nil) // or a pgx.Tx
	must(err)
	defer tx.Rollback()
	_, err = tx.ExecContext(ctx, `INSERT INTO customers VALUES ('Ada')`)
	must(err)
	receipt, err := Welcome.SubmitTx(ctx, stack.Client(), tx, "Ada")
	must(err)
	must(tx.Commit())
	fmt.Println(Welcome.Wait(ctx, stack.Client(), receipt.ID))
	// Output: welcome, Ada <nil>
}

// Where the store is not in the program's database, the transaction writes what is to be submitted
// into a table, the outbox. Deliver, called after a commit and every few seconds in some process,
// submits it under a key and then deletes it. If it dies between the two, the key makes the next
// submission the same job.
func Example_outbox() {
	ctx := context.Background()
	db, stack, end := shop(ctx)
	defer end()

	tx, err := db.BeginTx(ctx, nil)
	must(err)
	defer tx.Rollback()
	_, err = tx.ExecContext(ctx, `INSERT INTO customers VALUES ('Ada')`)
	must(err)
	_, err = tx.ExecContext(ctx, `INSERT INTO outbox VALUES ('welcome/Ada', 'mail.welcome', '"Ada"')`)
	must(err)
	must(tx.Commit())
	must(deliver(ctx, db, stack.Client()))
	// Output: submitted welcome/Ada
}

// deliver submits what is in the outbox.
func deliver(ctx context.Context, db *sql.DB, client *functions.Client) error {
	rows, err := db.QueryContext(ctx, `SELECT key, kind, args FROM outbox LIMIT 100`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var subs []functions.Submission
	var keys []string
	for rows.Next() {
		var key, kind, args string
		if err := rows.Scan(&key, &kind, &args); err != nil {
			return err
		}
		keys = append(keys, key)
		subs = append(subs, functions.Submission{
			Kind: kind, Args: json.RawMessage(args), Options: []functions.SubmitOption{functions.Key(key)},
		})
	}
	if err := rows.Err(); err != nil {
		return err
	}
	receipts, err := client.SubmitMany(ctx, subs)
	for i, r := range receipts {
		if r.Err != nil {
			continue // err says why; it stays, and is submitted again
		}
		if _, err := db.ExecContext(ctx, `DELETE FROM outbox WHERE key = ?`, keys[i]); err != nil {
			return err
		}
		fmt.Println("submitted", keys[i])
	}
	return err
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
