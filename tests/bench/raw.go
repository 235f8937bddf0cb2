package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the drivers that are measured raw
	_ "modernc.org/sqlite"
)

// rawBatch is how many writes go into one transaction, in the raw measure as in the store's own lists.
const rawBatch = 100

// rawSpeed is how many jobs a second the store does when it is given the three writes of a job and nothing else: one
// insert and two updates by id and revision, of the data, and of the data and the due index, as prepared statements of one
// row, one hundred to a transaction.
func rawSpeed(ctx context.Context, at place, jobs int) (float64, error) {
	db, err := rawOpen(at)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	ph := func(n int) string { return fmt.Sprintf("$%d", n) }
	bytes := "BYTEA"
	if at.name != "postgres" {
		bytes = "BLOB"
	}
	for _, stmt := range []string{
		`CREATE TABLE raw (id TEXT PRIMARY KEY, rev BIGINT NOT NULL, data ` + bytes + `, due_pk TEXT, due_sk TEXT, list_pk TEXT, list_sk TEXT)`,
		`CREATE INDEX raw_due ON raw (due_pk, due_sk)`,
		`CREATE INDEX raw_list ON raw (list_pk, list_sk)`,
	} {
		if _, err := db.ExecContext(ctx, stmt); err != nil {
			return 0, err
		}
	}
	insert, err := db.PrepareContext(ctx, `INSERT INTO raw (id, rev, data, due_pk, due_sk, list_pk, list_sk) VALUES (`+
		ph(1)+`,`+ph(2)+`,`+ph(3)+`,`+ph(4)+`,`+ph(5)+`,`+ph(6)+`,`+ph(7)+`)`)
	if err != nil {
		return 0, err
	}
	defer insert.Close()
	claim, err := db.PrepareContext(ctx, `UPDATE raw SET rev = `+ph(1)+`, data = `+ph(2)+` WHERE id = `+ph(3)+` AND rev = `+ph(4))
	if err != nil {
		return 0, err
	}
	defer claim.Close()
	finish, err := db.PrepareContext(ctx, `UPDATE raw SET rev = `+ph(1)+`, data = `+ph(2)+`, due_pk = `+ph(3)+`, due_sk = `+
		ph(4)+` WHERE id = `+ph(5)+` AND rev = `+ph(6))
	if err != nil {
		return 0, err
	}
	defer finish.Close()
	start := time.Now()
	for first := 0; first < jobs; first += rawBatch {
		if err := rawJobs(ctx, db, insert, claim, finish, first, min(rawBatch, jobs-first)); err != nil {
			return 0, err
		}
	}
	return float64(jobs) / time.Since(start).Seconds(), nil
}

// rawJobs does the three writes of n jobs, each write of all of them in one transaction.
func rawJobs(ctx context.Context, db *sql.DB, insert, claim, finish *sql.Stmt, first, n int) error {
	data := make([]byte, 450) // what a record of a plain job takes
	batch := func(prepared *sql.Stmt, write func(st *sql.Stmt, id, sk string) error) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		st := tx.StmtContext(ctx, prepared)
		defer st.Close()
		for i := range n {
			id := fmt.Sprintf("job-%026d", first+i)
			if err := write(st, id, fmt.Sprintf("%016d#%s", first+i, id)); err != nil {
				_ = tx.Rollback()
				return err
			}
		}
		return tx.Commit()
	}
	if err := batch(insert, func(st *sql.Stmt, id, sk string) error {
		_, err := st.ExecContext(ctx, id, 1, data, "due#00", sk, "job#bench.plain#0", sk)
		return err
	}); err != nil {
		return err
	}
	if err := batch(claim, func(st *sql.Stmt, id, _ string) error {
		_, err := st.ExecContext(ctx, 2, data, id, 1)
		return err
	}); err != nil {
		return err
	}
	return batch(finish, func(st *sql.Stmt, id, sk string) error {
		_, err := st.ExecContext(ctx, 3, data, "due#00", "9"+sk[1:], id, 2)
		return err
	})
}

// rawOpen opens the database as durably as the store does.
func rawOpen(at place) (*sql.DB, error) {
	if at.name == "postgres" {
		return sql.Open("pgx", at.url)
	}
	name := ":memory:"
	if at.name == "sqlite-file" {
		name = "file:" + filepath.Join(at.dir, "raw.db") + "?_pragma=journal_mode(wal)&_pragma=synchronous(full)"
	}
	db, err := sql.Open("sqlite", name)
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}
