package sqldocstore

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/piecework/piecework/tests/postgres"
	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
	"modernc.org/sqlite"
)

// TestMain lets the test binary be a process that works on a file.
func TestMain(m *testing.M) {
	var err error
	switch os.Getenv("SQLDOCSTORE_CHILD") {
	case "increment":
		err = incrementChild()
	case "create":
		err = createChild()
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(t *testing.T, what, file string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SQLDOCSTORE_CHILD="+what, "SQLDOCSTORE_URL=sqlite://"+file)
	cmd.Stderr = os.Stderr
	return cmd
}

const childIncrements = 50

// incrementChild adds to a counter by get and compare-and-set, from four goroutines.
func incrementChild() error {
	ctx, o := context.Background(), jobOptions()
	coll, err := Open(ctx, os.Getenv("SQLDOCSTORE_URL"), &o)
	if err != nil {
		return err
	}
	defer coll.Close()
	errs := make(chan error, 4)
	for range 4 {
		go func() {
			for done := 0; done < childIncrements; {
				j := &job{ID: "counter"}
				if err := coll.Get(ctx, j); err != nil {
					errs <- err
					return
				}
				n, _ := strconv.Atoi(string(j.Data))
				j.Data = strconv.AppendInt(nil, int64(n+1), 10)
				switch err := coll.Replace(ctx, j); gcerrors.Code(err) {
				case gcerrors.OK:
					done++
				case gcerrors.FailedPrecondition:
				default:
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	return errors.Join(<-errs, <-errs, <-errs, <-errs)
}

// createChild creates documents until it is killed and tells each key when its Create
// has returned.
func createChild() error {
	ctx, o := context.Background(), jobOptions()
	coll, err := Open(ctx, os.Getenv("SQLDOCSTORE_URL"), &o)
	for i := 0; err == nil; i++ {
		j := newJob(i)
		if err = coll.Create(ctx, j); err == nil {
			fmt.Println(j.ID)
		}
	}
	return err
}

// TestProcessesShareAFile: four processes open a new file at once and lose no update.
func TestProcessesShareAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shared.db")
	coll := docstore.NewCollection(mustOpen(t, "sqlite://"+file, jobOptions()))
	defer coll.Close()
	must(t, coll.Create(t.Context(), &job{ID: "counter", Data: []byte("0")}))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := child(t, "increment", file).Run(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := &job{ID: "counter"}
	must(t, coll.Get(t.Context(), got))
	if want := strconv.Itoa(4 * 4 * childIncrements); string(got.Data) != want {
		t.Fatalf("got %s, want %s", got.Data, want)
	}
}

// TestKilled: what a killed process was told to be written is there.
func TestKilled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "killed.db")
	cmd := child(t, "create", file)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var ids []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		ids = append(ids, lines.Text())
		if len(ids) == 200 {
			must(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait() // killed
	coll := docstore.NewCollection(mustOpen(t, "sqlite://"+file, jobOptions()))
	defer coll.Close()
	have := collect(t, coll.Query().OrderBy("id", docstore.Ascending).Get(t.Context()))
	if len(have) < len(ids) || len(ids) < 200 {
		t.Fatalf("%d documents are there, %d were acknowledged", len(have), len(ids))
	}
}

func TestOpenedAtOnce(t *testing.T) {
	t.Run("file", func(t *testing.T) { openAtOnce(t, "sqlite://"+filepath.Join(t.TempDir(), "a.db")) })
	t.Run("postgres", func(t *testing.T) { openAtOnce(t, postgres.Start(t)) })
}

func openAtOnce(t *testing.T, url string) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			o := jobOptions()
			coll, err := Open(t.Context(), url, &o)
			if err != nil {
				t.Error(err)
				return
			}
			defer coll.Close()
			if err := coll.Create(t.Context(), newJob(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestDiskFull(t *testing.T) {
	c := mustOpen(t, "sqlite://"+filepath.Join(t.TempDir(), "full.db"), jobOptions())
	coll, ctx := docstore.NewCollection(c), t.Context()
	defer coll.Close()
	_, err := c.db.(*sqliteDB).writer.exec("PRAGMA max_page_count = 40")
	must(t, err)
	big := newJob(0)
	big.Data = make([]byte, 1<<20)
	// Put one by one, they meet in one transaction.
	err = coll.Actions().Create(newJob(1)).Create(big).Create(newJob(2)).Do(ctx)
	wantCode(t, err, gcerrors.ResourceExhausted)
	var serr *sqlite.Error
	if !coll.ErrorAs(err, &serr) && !errors.As(err, &serr) {
		t.Errorf("%v does not hold SQLite's error", err)
	}
	err = coll.Actions().AtomicWrites().Create(newJob(3)).Create(big).Do(ctx)
	wantCode(t, err, gcerrors.ResourceExhausted)
	if ids := collect(t, coll.Query().Get(ctx)); len(ids) != 0 {
		t.Fatalf("half of a list was applied: %v", ids)
	}
	must(t, coll.Create(ctx, newJob(4))) // it goes on
}

// TestPoisonedWrite: when one of many callers' writes spoils the transaction, it alone
// fails.
func TestPoisonedWrite(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		poison(t, coll)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				j := newJob(i)
				if i == 50 {
					j.FailPK = "poison"
				}
				err := coll.Create(ctx, j)
				if (err != nil) != (i == 50) {
					t.Errorf("got %d: %v, want (err != nil) == (i == 50)", i, err)
				}
			})
		}
		wg.Wait()
		if n := len(collect(t, coll.Query().Get(ctx))); n != 99 {
			t.Fatalf("%d documents, want 99", n)
		}
	})
}

// poison makes the database refuse a write that has fail_pk = 'poison'.
func poison(t *testing.T, coll *docstore.Collection) {
	trigger := `CREATE TRIGGER poison BEFORE INSERT ON jobs WHEN new.fail_pk = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END`
	var pool *pgxpool.Pool
	var db *sql.DB
	var err error
	switch {
	case coll.As(&pool):
		_, err = pool.Exec(t.Context(), `ALTER TABLE jobs ADD CHECK (fail_pk <> 'poison')`)
	case coll.As(&db):
		_, err = db.Exec(trigger)
	default:
		t.Skip("no way to the database")
	}
	must(t, err)
}

func TestLockedTooLong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "locked.db")
	o := jobOptions()
	o.BusyTimeout = 20 * time.Millisecond
	coll := docstore.NewCollection(mustOpen(t, "sqlite://"+file, o))
	defer coll.Close()
	must(t, coll.Create(t.Context(), newJob(1)))
	other := mustOpen(t, "sqlite://"+file, o)
	defer other.Close()
	w := other.db.(*sqliteDB).writer
	_, err := w.exec("BEGIN IMMEDIATE")
	must(t, err)
	err = coll.Create(t.Context(), newJob(2))
	wantCode(t, err, gcerrors.Unknown)
	if !errors.Is(err, ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	must(t, coll.Get(t.Context(), &job{ID: newJob(1).ID})) // readers go on
	_, err = w.exec("ROLLBACK")
	must(t, err)
	must(t, coll.Create(t.Context(), newJob(2)))
}

// TestServerRestarts: while the server is away, errors say so; when it is back, the
// collection works again.
func TestServerRestarts(t *testing.T) {
	server := postgres.StartServer(t)
	ctx := t.Context()
	coll := docstore.NewCollection(mustOpen(t, server.URL(), jobOptions()))
	defer coll.Close()
	addJobs(t, coll, 1000)
	it := coll.Query().Get(ctx)
	must(t, it.Next(ctx, docmap{}))

	server.Stop()
	for name, err := range map[string]error{
		"create": coll.Create(ctx, newJob(2000)),
		"get":    coll.Get(ctx, &job{ID: newJob(1).ID}),
		"query":  coll.Query().Get(ctx).Next(ctx, docmap{}),
		"read": func() error {
			for {
				if err := it.Next(ctx, docmap{}); err != nil {
					return err
				}
			}
		}(),
	} {
		// What was on its way to the client may still be read to the end.
		if !errors.Is(err, ErrUnavailable) && !(name == "read" && errors.Is(err, io.EOF)) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
	must(t, server.Start(ctx))
	must(t, coll.Get(ctx, &job{ID: newJob(1).ID}))
	must(t, coll.Create(ctx, newJob(2001)))
}

func TestServerErrors(t *testing.T) {
	url := postgres.Start(t)
	o := jobOptions()
	_, err := Open(t.Context(), "postgres://me:secret@127.0.0.1:1/db?connect_timeout=2", &o)
	wantCode(t, err, gcerrors.Unknown)
	if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want ErrUnavailable and no password", err)
	}
	o.NoCreate = true
	_, err = Open(t.Context(), url, &o)
	var perr *pgconn.PgError
	if !errors.As(err, &perr) || perr.Code != "42P01" || errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want: the table does not exist", err)
	}
}

// TestDemotedServer: a server that has become a standby keeps its connections and refuses
// to write. They are dropped, so that the next try finds who takes writes now.
func TestDemotedServer(t *testing.T) {
	ctx := t.Context()
	coll := docstore.NewCollection(mustOpen(t, postgres.Start(t), jobOptions()))
	defer coll.Close()
	var pool *pgxpool.Pool
	if !coll.As(&pool) {
		t.Fatal("no pool")
	}
	var conns []*pgxpool.Conn
	for range 4 {
		conn, err := pool.Acquire(ctx)
		must(t, err)
		_, err = conn.Exec(ctx, "SET default_transaction_read_only = on")
		must(t, err)
		conns = append(conns, conn)
	}
	for _, c := range conns {
		c.Release()
	}
	err := coll.Create(ctx, newJob(1))
	wantCode(t, err, gcerrors.Unknown)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("got %v, want ErrUnavailable with the reason", err)
	}
	must(t, coll.Create(ctx, newJob(1)))
}

// TestSQLiteSettings: the file's settings are those asked for. A power cut must not undo a write
// that has returned.
func TestSQLiteSettings(t *testing.T) {
	for _, c := range []struct{ url, name, want string }{
		{"sqlite://FILE", "synchronous", "2"},
		{"sqlite://FILE?synchronous=full", "synchronous", "2"},
		{"sqlite://FILE?synchronous=normal", "synchronous", "1"},
		{"sqlite://FILE?synchronous=off", "synchronous", "0"},
		{"sqlite://FILE", "journal_mode", "wal"},
		{"sqlite://FILE?busy_timeout=7s", "busy_timeout", "7000"},
	} {
		t.Run(c.url+" "+c.name, func(t *testing.T) {
			coll := mustOpen(t, strings.Replace(c.url, "FILE", filepath.Join(t.TempDir(), "a.db"), 1), jobOptions())
			defer coll.Close()
			var got string
			must(t, coll.db.(*sqliteDB).writer.each(func(v []driver.Value) error { got = fmt.Sprint(v[0]); return nil }, "PRAGMA "+c.name))
			if got != c.want {
				t.Errorf("%s = %s, want %s", c.name, got, c.want)
			}
		})
	}
}
