package sqldocstore

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/tests/postgres"
)

// TestConformancePooler: everything works through a pooler that gives each transaction to another
// connection.
func TestConformancePooler(t *testing.T) {
	server, tables := postgres.StartPooler(t, postgres.Start(t), "transaction"), 0
	runConformance(t, func(t *testing.T, o Options) driver.Collection {
		tables++
		o.Table = fmt.Sprintf("t%d", tables)
		o.Columns, o.Indexes = testColumns, testIndexes
		return mustOpen(t, server, o)
	})
}

// TestPoolerIsShared: several processes use a pooler with fewer connections than one of them would
// open, while iterators stand open. No write fails, and what one of them sets up is not found by
// another.
func TestPoolerIsShared(t *testing.T) {
	ctx, direct := t.Context(), postgres.Start(t)
	server := postgres.StartPooler(t, direct, "transaction")
	const processes, docs = 3, 200
	var wg sync.WaitGroup
	for p := range processes {
		coll := docstore.NewCollection(mustOpen(t, server, jobOptions()))
		t.Cleanup(func() { must(t, coll.Close()) })
		for i := range docs {
			wg.Go(func() {
				j := newJob(i)
				j.ID = fmt.Sprintf("%d-%s", p, j.ID)
				if err := coll.Create(ctx, j); err != nil {
					t.Error("create:", err)
				}
				if err := coll.Get(ctx, &job{ID: j.ID}); err != nil {
					t.Error("get:", err)
				}
			})
		}
	}
	wg.Wait()
	coll := docstore.NewCollection(mustOpen(t, server, jobOptions()))
	t.Cleanup(func() { must(t, coll.Close()) })
	for range 2 * 12 { // more than the pooler's connections
		it := coll.Query().Get(ctx)
		t.Cleanup(it.Stop)
		must(t, it.Next(ctx, &job{}))
	}
	must(t, coll.Get(ctx, &job{ID: fmt.Sprint("0-", newJob(0).ID)}))

	var pool *pgxpool.Pool
	if !coll.As(&pool) {
		t.Fatal("the collection has no pool")
	}
	var setting string
	must(t, pool.QueryRow(ctx, "SHOW enable_seqscan").Scan(&setting))
	if setting != "on" {
		t.Errorf("enable_seqscan = %s on a connection of the pooler, want on: a setting outlived its transaction", setting)
	}
	var prepared int
	must(t, pool.QueryRow(ctx, "SELECT count(*) FROM pg_prepared_statements").Scan(&prepared))
	if prepared != 0 {
		t.Errorf("%d prepared statements on a connection of the pooler, want 0", prepared)
	}
}

// TestPlansBehindAPooler: the planner is set for each transaction.
func TestPlansBehindAPooler(t *testing.T) {
	server := postgres.StartPooler(t, postgres.Start(t), "transaction")
	coll := docstore.NewCollection(mustOpen(t, server, jobOptions()))
	t.Cleanup(func() { must(t, coll.Close()) })
	checkPlans(t, coll)
}

// TestDirectConnectionIsSetUp: without a pooler the session is set up, once.
func TestDirectConnectionIsSetUp(t *testing.T) {
	coll := docstore.NewCollection(mustOpen(t, postgres.Start(t), jobOptions()))
	t.Cleanup(func() { must(t, coll.Close()) })
	must(t, coll.Create(t.Context(), newJob(1)))
	var pool *pgxpool.Pool
	if !coll.As(&pool) {
		t.Fatal("the collection has no pool")
	}
	for _, p := range [][2]string{{"plan_cache_mode", "force_generic_plan"}, {"jit", "off"}, {"enable_seqscan", "off"}, {"enable_sort", "off"}} {
		var got string
		must(t, pool.QueryRow(t.Context(), "SHOW "+p[0]).Scan(&got))
		if got != p[1] {
			t.Errorf("%s = %s, want %s", p[0], got, p[1])
		}
	}
	var prepared int
	must(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_prepared_statements").Scan(&prepared))
	if prepared == 0 {
		t.Error("no prepared statement on a direct connection, want that of the Create")
	}
}

// TestPoolerInStatementMode: the only mode that cannot work says so on opening.
func TestPoolerInStatementMode(t *testing.T) {
	server := postgres.StartPooler(t, postgres.Start(t), "statement")
	o := jobOptions()
	o.NoCreate = true
	_, err := Open(t.Context(), server, &o)
	if err == nil || !strings.Contains(err.Error(), "transaction or session mode") {
		t.Errorf("open = %v, want an error that names the modes", err)
	}
}

// TestPoolerInSessionMode works like a server.
func TestPoolerInSessionMode(t *testing.T) {
	server := postgres.StartPooler(t, postgres.Start(t), "session")
	coll := docstore.NewCollection(mustOpen(t, server+"&pool_max_conns=3", jobOptions()))
	t.Cleanup(func() { must(t, coll.Close()) })
	must(t, coll.Create(t.Context(), newJob(1)))
	must(t, coll.Get(t.Context(), newJob(1)))
}
