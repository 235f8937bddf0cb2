package sqldocstore

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/piecework/piecework/tests/postgres"
	"gocloud.dev/docstore"

	client "github.com/piecework/piecework/store/sqldocstore/postgres"
)

// job is a document like those of a job system.
type job struct {
	ID     string `docstore:"id"`
	Rev    any    `docstore:"rev"`
	Data   []byte `docstore:"data"`
	DuePK  string `docstore:"due_pk,omitempty"`
	DueSK  string `docstore:"due_sk,omitempty"`
	ListPK string `docstore:"list_pk,omitempty"`
	ListSK string `docstore:"list_sk,omitempty"`
	FailPK string `docstore:"fail_pk,omitempty"`
	FailSK string `docstore:"fail_sk,omitempty"`
}

func jobOptions() Options {
	return Options{
		Postgres:      NewPostgres(client.Connect),
		Table:         "jobs",
		RevisionField: "rev",
		Columns: []Column{
			{"data", Bytes}, {"due_pk", Text}, {"due_sk", Text}, {"list_pk", Text}, {"list_sk", Text},
			{"fail_pk", Text}, {"fail_sk", Text},
		},
		Indexes: [][]string{{"due_pk", "due_sk"}, {"list_pk", "list_sk"}, {"fail_pk", "fail_sk"}},
	}
}

func newJob(i int) *job {
	id := fmt.Sprintf("j01890b5d-0000-7000-%016d", i)
	return &job{
		ID: id, Data: make([]byte, 600),
		DuePK: fmt.Sprintf("due#%02d", i%16), DueSK: fmt.Sprintf("%016d#%s", i, id),
		ListPK: "job#banking.statement#0", ListSK: fmt.Sprintf("%016d#%s", i, id),
	}
}

// benchStores opens a fresh collection of each kind.
func benchStores(b *testing.B, f func(b *testing.B, coll *docstore.Collection)) {
	urls := map[string]func(b *testing.B) string{
		"sqlite": func(b *testing.B) string { return "sqlite://" + filepath.Join(b.TempDir(), "bench.db") },
		"memory": func(*testing.B) string { return "sqlite::memory:" },
		"postgres": func(b *testing.B) string {
			url, stop, err := postgres.Run(b.Context())
			if err != nil {
				postgres.Unavailable(b, err)
			}
			b.Cleanup(stop)
			return url
		},
	}
	for _, name := range []string{"sqlite", "memory", "postgres"} {
		b.Run(name, func(b *testing.B) {
			coll := docstore.NewCollection(mustOpen(b, urls[name](b), jobOptions()))
			defer coll.Close()
			f(b, coll)
		})
	}
}

// BenchmarkJobs100Callers: a job is a create and two compare-and-sets, the second of
// which takes it out of the due index; 100 callers run jobs one after another.
func BenchmarkJobs100Callers(b *testing.B) {
	benchStores(b, func(b *testing.B, coll *docstore.Collection) {
		ctx := b.Context()
		var next atomic.Int64
		concurrently(b, 100, func() error {
			j := newJob(int(next.Add(1)))
			if err := coll.Create(ctx, j); err != nil {
				return err
			}
			if err := coll.Replace(ctx, j); err != nil {
				return err
			}
			j.DuePK, j.DueSK = "", ""
			return coll.Replace(ctx, j)
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	})
}

// BenchmarkJobsLists100: the same three writes of 100 jobs in action lists.
func BenchmarkJobsLists100(b *testing.B) {
	benchStores(b, func(b *testing.B, coll *docstore.Collection) {
		ctx := b.Context()
		b.ReportAllocs()
		for i := 0; i < b.N; i += 100 {
			jobs := make([]*job, min(100, b.N-i))
			create := coll.Actions()
			for k := range jobs {
				jobs[k] = newJob(i + k)
				create.Create(jobs[k])
			}
			claim, end := coll.Actions(), coll.Actions()
			for _, j := range jobs {
				claim.Replace(j)
			}
			if err := create.Do(ctx); err != nil {
				b.Fatal(err)
			}
			if err := claim.Do(ctx); err != nil {
				b.Fatal(err)
			}
			for _, j := range jobs {
				j.DuePK, j.DueSK = "", ""
				end.Replace(j)
			}
			if err := end.Do(ctx); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	})
}

// BenchmarkGets: single Gets by one and by 100 callers.
func BenchmarkGets(b *testing.B) {
	for _, callers := range []int{1, 100} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			benchStores(b, func(b *testing.B, coll *docstore.Collection) {
				ctx := b.Context()
				create := coll.Actions()
				for i := range 1000 {
					create.Create(newJob(i))
				}
				if err := create.Do(ctx); err != nil {
					b.Fatal(err)
				}
				var next atomic.Int64
				b.ResetTimer()
				concurrently(b, callers, func() error {
					return coll.Get(ctx, &job{ID: newJob(int(next.Add(1) % 1000)).ID})
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "gets/s")
			})
		})
	}
}

func concurrently(b *testing.B, callers int, f func() error) {
	b.ReportAllocs()
	var todo atomic.Int64
	todo.Store(int64(b.N))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for todo.Add(-1) >= 0 {
				if err := f(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkRawSQLite runs the same statements through database/sql, 100 to a
// transaction: what the driver is measured against.
func BenchmarkRawSQLite(b *testing.B) {
	file := filepath.Join(b.TempDir(), "raw.db")
	o := jobOptions()
	coll := mustOpen(b, "sqlite://"+file, o)
	defer coll.Close()
	db, err := sql.Open("sqlite", file+"?_busy_timeout=10000&_journal_mode=WAL&_synchronous=FULL&_pragma=wal_autocheckpoint(4000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	benchRaw(b, db, coll.db.(*sqliteDB).rows.sql.insert, coll.db.(*sqliteDB).rows.sql.update)
}

// BenchmarkRawPostgres does so on PostgreSQL, a statement a row.
func BenchmarkRawPostgres(b *testing.B) {
	url, stop, err := postgres.Run(b.Context())
	if err != nil {
		postgres.Unavailable(b, err)
	}
	defer stop()
	coll := mustOpen(b, url, jobOptions())
	defer coll.Close()
	db, err := sql.Open("pgx", url)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	benchRaw(b, db,
		`INSERT INTO jobs (rev, due_pk, due_sk, list_pk, list_sk, fail_pk, fail_sk, data, doc, id)
		 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING`,
		`UPDATE jobs SET rev = $1, due_pk = $2, due_sk = $3, list_pk = $4, list_sk = $5, fail_pk = $6, fail_sk = $7,
		 data = $8, doc = $9 WHERE id = $10 AND rev = $11`)
}

func benchRaw(b *testing.B, db *sql.DB, insert, update string) {
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	ins, err := db.Prepare(insert)
	must(err)
	upd, err := db.Prepare(update)
	must(err)
	batch := func(n int, prepared *sql.Stmt, f func(st *sql.Stmt, k int) error) {
		tx, err := db.Begin()
		must(err)
		st := tx.Stmt(prepared)
		defer st.Close()
		for k := range n {
			must(f(st, k))
		}
		must(tx.Commit())
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i += 100 {
		n := min(100, b.N-i)
		jobs := make([]*job, n)
		batch(n, ins, func(st *sql.Stmt, k int) error {
			j := newJob(i + k)
			jobs[k] = j
			_, err := st.Exec(1, j.DuePK, j.DueSK, j.ListPK, j.ListSK, nil, nil, j.Data, nil, j.ID)
			return err
		})
		batch(n, upd, func(st *sql.Stmt, k int) error {
			j := jobs[k]
			_, err := st.Exec(2, j.DuePK, j.DueSK, j.ListPK, j.ListSK, nil, nil, j.Data, nil, j.ID, 1)
			return err
		})
		batch(n, upd, func(st *sql.Stmt, k int) error {
			j := jobs[k]
			_, err := st.Exec(3, nil, nil, j.ListPK, j.ListSK, nil, nil, j.Data, nil, j.ID, 2)
			return err
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}
