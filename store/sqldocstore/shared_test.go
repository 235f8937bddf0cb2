package sqldocstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/tests/postgres"

	client "github.com/piecework/piecework/store/sqldocstore/postgres"
)

// TestConformanceSharedPool: an application's own small pool will do, of a role that owns nothing, with the tables in a
// schema that somebody else has made; and the application's connections stay as they were.
func TestConformanceSharedPool(t *testing.T) {
	ctx, server := t.Context(), postgres.Start(t)
	owner, err := pgxpool.New(ctx, server)
	must(t, err)
	defer owner.Close()
	role := fmt.Sprintf("app_%x", rand.Uint64()) // roles are the server's, and it may be shared
	for _, stmt := range []string{
		`CREATE SCHEMA work`, `CREATE ROLE ` + role + ` LOGIN`, `GRANT USAGE ON SCHEMA work TO ` + role,
		`ALTER DEFAULT PRIVILEGES IN SCHEMA work GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ` + role,
	} {
		_, err := owner.Exec(ctx, stmt)
		must(t, err)
	}
	t.Cleanup(func() {
		if pool, err := pgxpool.New(t.Context(), server); err == nil {
			_, _ = pool.Exec(t.Context(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
			pool.Close()
		}
	})
	u, err := url.Parse(server)
	must(t, err)
	u.User = url.User(role)
	config, err := pgxpool.ParseConfig(u.String())
	must(t, err)
	config.MaxConns = 3
	pool, err := pgxpool.NewWithConfig(ctx, config)
	must(t, err)
	defer pool.Close()
	tables := 0
	runConformance(t, func(t *testing.T, o Options) driver.Collection {
		tables++
		o.Table, o.Schema = fmt.Sprintf("t%d", tables), "work"
		o.Columns, o.Indexes = testColumns, testIndexes
		text, err := Schema(Postgres, &o)
		must(t, err)
		_, err = owner.Exec(ctx, text)
		must(t, err)
		o.NoCreate = true
		coll, err := OpenPool(ctx, client.Pool(pool), &o)
		must(t, err)
		var c *collection
		if !coll.As(&c) {
			t.Fatal("As(**collection) = false, want true")
		}
		return c
	})
	var setting string
	must(t, pool.QueryRow(ctx, "SHOW enable_seqscan").Scan(&setting))
	if setting != "on" {
		t.Errorf("enable_seqscan is %s on the application's connections, want on, as it was", setting)
	}
}

// TestSharedPoolBehindAPooler: a pool as pgx makes it, which would prepare statements, may lead to PgBouncer, since the
// collection does not.
func TestSharedPoolBehindAPooler(t *testing.T) {
	ctx := t.Context()
	pool, err := pgxpool.New(ctx, postgres.StartPooler(t, postgres.Start(t), "transaction"))
	must(t, err)
	defer pool.Close()
	o := jobOptions()
	for range 2 { // it creates, and finds what it has created
		coll, err := OpenPool(ctx, client.Pool(pool), &o)
		must(t, err)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				j := newJob(i)
				if err := coll.Put(ctx, j); err != nil {
					t.Errorf("Put() = %v, want nil", err)
				}
				if err := coll.Update(ctx, j, docstore.Mods{"list_pk": "x"}); err != nil {
					t.Errorf("Update() = %v, want nil", err)
				}
			})
		}
		wg.Wait()
		n, it := 0, coll.Query().Where("list_pk", "=", "x").Get(ctx)
		for it.Next(ctx, &job{}) == nil {
			n++
		}
		it.Stop()
		if n != 50 {
			t.Errorf("a query finds %d documents, want 50", n)
		}
		must(t, coll.Close())
	}
}

func TestOpenDB(t *testing.T) {
	ctx, file := t.Context(), filepath.Join(t.TempDir(), "app's file?.db")
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath())
	must(t, err)
	defer db.Close()
	_, err = db.Exec(`CREATE TABLE mine (n INT)`)
	must(t, err)
	o := jobOptions()
	coll, err := OpenDB(ctx, db, &o)
	must(t, err)
	must(t, coll.Create(ctx, newJob(1)))
	must(t, coll.Close())
	var n int
	must(t, db.QueryRow(`SELECT count(*) FROM `+quote(o.Table)).Scan(&n))
	if n != 1 {
		t.Errorf("the application sees %d documents in its file, want 1", n)
	}

	memory, err := sql.Open("sqlite", ":memory:")
	must(t, err)
	defer memory.Close()
	other, err := sql.Open("pgx", "postgres://nowhere")
	must(t, err)
	defer other.Close()
	for want, db := range map[string]*sql.DB{"in memory": memory, "OpenPool": other} {
		if _, err := OpenDB(ctx, db, &o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("OpenDB() = %v, want an error that says %q", err, want)
		}
	}
}

// TestInTx: what a transaction writes is seen in it at once, and elsewhere when it commits; an error of one document
// leaves it whole.
func TestInTx(t *testing.T) {
	ctx, file := t.Context(), filepath.Join(t.TempDir(), "a.db")
	for name, dsn := range map[string][2]string{"sqlite": {"sqlite://" + file, "file:" + file}, "pgx": {postgres.Start(t), ""}} {
		t.Run(name, func(t *testing.T) {
			if dsn[1] == "" {
				dsn[1] = dsn[0]
			}
			coll := docstore.NewCollection(mustOpen(t, dsn[0], jobOptions()))
			defer coll.Close()
			must(t, coll.Create(ctx, newJob(1)))
			db, err := sql.Open(name, dsn[1])
			must(t, err)
			defer db.Close()
			tx, err := db.BeginTx(ctx, nil)
			must(t, err)
			in, err := InTx(coll, tx)
			must(t, err)
			one := &job{ID: newJob(1).ID}
			must(t, in.Get(ctx, one))
			stale := *one
			must(t, in.Update(ctx, one, docstore.Mods{"list_pk": "running"}))
			if err := in.Update(ctx, &stale, docstore.Mods{"list_pk": "lost"}); err == nil {
				t.Errorf("Update() with an old revision = %v, want an error", err)
			}
			if err := in.Create(ctx, newJob(1)); err == nil {
				t.Error("Create() of what exists = nil, want an error")
			}
			must(t, in.Create(ctx, newJob(2)))
			two := newJob(3)
			list := in.Actions().Create(two).Get(&job{ID: one.ID})
			must(t, list.Do(ctx))
			must(t, in.Delete(ctx, newJob(2)))
			if err := in.Query().Get(ctx).Next(ctx, &job{}); err == nil {
				t.Error("a query in a transaction = nil, want an error")
			}
			must(t, in.Close())
			before := &job{ID: one.ID}
			must(t, coll.Get(ctx, before))
			if before.ListPK == "running" {
				t.Error("the update is seen before the commit")
			}
			must(t, tx.Commit())
			after := &job{ID: one.ID}
			must(t, coll.Get(ctx, after))
			if after.ListPK != "running" {
				t.Errorf("list_pk %q after the commit, want running", after.ListPK)
			}
			must(t, coll.Get(ctx, &job{ID: two.ID}))
			if err := coll.Get(ctx, &job{ID: newJob(2).ID}); err == nil {
				t.Error("the document that was deleted in the transaction is there")
			}
		})
	}
	coll := docstore.NewCollection(mustOpen(t, "sqlite::memory:", jobOptions()))
	defer coll.Close()
	if _, err := InTx(coll, "tx"); err == nil || !strings.Contains(err.Error(), "not a string") {
		t.Errorf(`InTx("tx") = %v, want an error that names the type`, err)
	}
}

// TestATransactionThatStaysOpenKeepsOnlyItsDocumentsWaiting: the application's transaction has locked a document; a write
// of it fails after a while, and those beside it do not wait for the end of the transaction.
func TestATransactionThatStaysOpenKeepsOnlyItsDocumentsWaiting(t *testing.T) {
	ctx, url := t.Context(), postgres.Start(t)
	coll := docstore.NewCollection(mustOpen(t, url, jobOptions()))
	defer coll.Close()
	db, err := sql.Open("pgx", url)
	must(t, err)
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	must(t, err)
	defer tx.Rollback()
	in, err := InTx(coll, tx)
	must(t, err)
	must(t, in.Create(ctx, newJob(0)))
	must(t, in.Close())
	soon, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if i%10 == 0 {
				if err := coll.Create(soon, newJob(0)); !errors.Is(err, ErrUnavailable) {
					t.Errorf("Create() of the locked document = %v, want ErrUnavailable", err)
				}
			} else if err := coll.Create(soon, newJob(i)); err != nil {
				t.Errorf("Create() beside it = %v, want nil", err)
			}
		})
	}
	wg.Wait()
}

func TestWhatIsWrongWithATransactionIsSaid(t *testing.T) {
	ctx, url, file := t.Context(), postgres.Start(t), filepath.Join(t.TempDir(), "a.db")
	begin := func(driver, dsn string, o *sql.TxOptions) *sql.Tx {
		t.Helper()
		db, err := sql.Open(driver, dsn)
		must(t, err)
		t.Cleanup(func() { _ = db.Close() })
		tx, err := db.BeginTx(ctx, o)
		must(t, err)
		t.Cleanup(func() { _ = tx.Rollback() })
		return tx
	}
	server, lite := docstore.NewCollection(mustOpen(t, url, jobOptions())), docstore.NewCollection(mustOpen(t, "sqlite://"+file, jobOptions()))
	defer server.Close()
	defer lite.Close()
	failed := begin("pgx", url, nil)
	_, _ = failed.ExecContext(ctx, "SELECT nothing")
	ended := begin("pgx", url, nil)
	must(t, ended.Rollback())
	stale := begin("sqlite", "file:"+file, nil)
	var n int
	must(t, stale.QueryRowContext(ctx, "SELECT count(*) FROM jobs").Scan(&n))
	must(t, lite.Create(ctx, newJob(7)))
	for want, c := range map[string]struct {
		coll *docstore.Collection
		tx   *sql.Tx
	}{
		"has failed before": {server, failed}, "has ended": {server, ended}, "_txlock=immediate": {lite, stale},
		"begin it for writing":    {server, begin("pgx", url, &sql.TxOptions{ReadOnly: true})},
		"one on another database": {server, begin("pgx", postgres.Start(t), nil)},
	} {
		in, err := InTx(c.coll, c.tx)
		must(t, err)
		err = in.Create(ctx, newJob(1))
		if err == nil || !strings.Contains(err.Error(), want) || gcerrors.Code(err) != gcerrors.InvalidArgument {
			t.Errorf("Create() = %v, want an invalid argument that says %q", err, want)
		}
		must(t, in.Close())
	}
}
