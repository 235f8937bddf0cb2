package sqlpubsub_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	"gocloud.dev/pubsub"
	_ "modernc.org/sqlite"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/sqlpubsub"
	sqlpostgres "github.com/piecework/piecework/pubsubq/sqlpubsub/postgres"
	"github.com/piecework/piecework/tests/conformance"
	"github.com/piecework/piecework/tests/postgres"
)

func openSQLite(t testing.TB, opts *sqlpubsub.Options) *sqlpubsub.Queues {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "queue.db"), opts)
}

func openFile(t testing.TB, file string, opts *sqlpubsub.Options) *sqlpubsub.Queues {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(wal)&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	q, err := sqlpubsub.OpenDB(t.Context(), db, opts)
	return opened(t, q, err)
}

func openPostgres(t testing.TB, opts *sqlpubsub.Options) *sqlpubsub.Queues {
	t.Helper()
	return openURL(t, postgres.Start(t), opts)
}

func openURL(t testing.TB, url string, opts *sqlpubsub.Options) *sqlpubsub.Queues {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // as poolers need it
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	q, err := sqlpostgres.OpenPool(t.Context(), pool, opts)
	return opened(t, q, err)
}

func opened(t testing.TB, q *sqlpubsub.Queues, err error) *sqlpubsub.Queues {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	})
	return q
}

func TestDriverOfSQLite(t *testing.T)            { testDriver(t, openSQLite, false) }
func TestDriverOfSQLiteTransient(t *testing.T)   { testDriver(t, openSQLite, true) }
func TestDriverOfPostgres(t *testing.T)          { testDriver(t, openPostgres, false) }
func TestDriverOfPostgresTransient(t *testing.T) { testDriver(t, openPostgres, true) }

func testDriver(t *testing.T, open func(testing.TB, *sqlpubsub.Options) *sqlpubsub.Queues, transient bool) {
	t.Helper()
	t.Parallel()
	const made = "a queue is made by its first message, so no topic and no subscription is missing"
	q := open(t, &sqlpubsub.Options{Transient: func(string) bool { return transient }})
	conformance.Driver(t, conformance.DriverHarness{
		Topic:        func(_ *testing.T, name string) *pubsub.Topic { return q.Topic(name) },
		Subscription: func(_ *testing.T, name string) *pubsub.Subscription { return q.Subscription(name) },
		MessageAs:    conformance.As[sqlpubsub.Incoming](), BeforeSendAs: conformance.As[*sqlpubsub.Outgoing](),
		Cannot: map[string]string{
			"TestSendReceiveTwo": "subscriptions of a queue compete for its messages, and do not get a copy each",
			"TestNonExistentTopicSucceedsOnOpenButFailsOnSend":           made,
			"TestNonExistentSubscriptionSucceedsOnOpenButFailsOnReceive": made,
			"TestAs/types": made,
			"TestAs/verify_As_returns_false_when_passed_nil": made,
		},
	})
}

// queues is a process's way to queues that it opens by itself.
type queues struct {
	*sqlpubsub.Queues

	sender *pubsubq.Sender
}

func (q queues) Sender() *pubsubq.Sender { return q.sender }

func (q queues) Receiver(queue string) *pubsubq.Receiver {
	return pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q.Queues, Queue: queue})
}

func (q queues) Close(ctx context.Context) error {
	return errors.Join(q.sender.Shutdown(ctx), q.Queues.Close())
}

func testQueue(
	t *testing.T, transient bool, open func(testing.TB, *sqlpubsub.Options) *sqlpubsub.Queues, restart func(*testing.T),
) {
	t.Helper()
	t.Parallel()
	const visibility = time.Second
	n := 0
	h := conformance.QueueHarness{
		Queue:    func(*testing.T) string { n++; return fmt.Sprint("queue-", n) },
		MaxDelay: sqlpubsub.MaxDelay, AtMostOnce: transient, MaxBody: 2_000_000, Restart: restart,
		Connect: func(t *testing.T) conformance.Connection {
			t.Helper()
			q := open(t, &sqlpubsub.Options{Visibility: visibility, Transient: func(string) bool { return transient }})
			return queues{q, pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q})}
		},
	}
	if !transient {
		h.Redelivery = visibility
	}
	conformance.Queue(t, h)
}

func TestQueueInSQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.db")
	testQueue(t, false, func(t testing.TB, o *sqlpubsub.Options) *sqlpubsub.Queues { return openFile(t, file, o) }, nil)
}

func TestTransientQueueInSQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.db")
	testQueue(t, true, func(t testing.TB, o *sqlpubsub.Options) *sqlpubsub.Queues { return openFile(t, file, o) }, nil)
}

// Messages survive a restart of the server, and receivers and senders find it again.
func TestQueueInPostgres(t *testing.T) {
	server := postgres.StartServer(t)
	testQueue(t, false, func(t testing.TB, o *sqlpubsub.Options) *sqlpubsub.Queues { return openURL(t, server.URL(), o) },
		func(t *testing.T) {
			t.Helper()
			server.Stop()
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
}

func TestTransientQueueInPostgres(t *testing.T) {
	url := postgres.Start(t)
	testQueue(t, true, func(t testing.TB, o *sqlpubsub.Options) *sqlpubsub.Queues { return openURL(t, url, o) }, nil)
}

func TestTransientQueueBehindAPooler(t *testing.T) {
	url := postgres.StartPooler(t, postgres.Start(t), "transaction")
	testQueue(t, true, func(t testing.TB, o *sqlpubsub.Options) *sqlpubsub.Queues { return openURL(t, url, o) }, nil)
}

// A role that owns nothing sends and receives, in tables that somebody else has made in a schema.
func TestARoleThatOwnsNothing(t *testing.T) {
	url := postgres.Start(t)
	owner, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	role := fmt.Sprintf("app_%x", rand.Uint64()) // roles are the server's, and it may be shared
	opts := &sqlpubsub.Options{Schema: "work", Prefix: "jobs", NoCreate: true, Transient: func(queue string) bool { return queue == "hints" }}
	for _, stmt := range slices.Concat(
		[]string{"CREATE SCHEMA work", "CREATE ROLE " + role + " LOGIN", "GRANT USAGE ON SCHEMA work TO " + role},
		sqlpubsub.Schema(sqlpubsub.Postgres, opts),
		[]string{"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA work TO " + role},
	) {
		if _, err := owner.Exec(t.Context(), stmt); err != nil {
			t.Fatalf("statement %s: %v", stmt, err)
		}
	}
	opts.NoCreate = false // it looks, and finds that there is nothing to create
	q := openURL(t, strings.Replace(url, "postgres@", role+"@", 1), opts)
	for _, queue := range []string{"hints", "submit"} {
		sub, err := q.SubscribeDirect(queue)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := q.SendDirect(t.Context(), queue, 0, []pubsubq.Raw{{Body: fmt.Append(nil, i), Metadata: map[string]string{"n": fmt.Sprint(i)}}}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 { // in order
			ds, err := sub.ReceiveDirect(t.Context(), 1)
			if err != nil || string(ds[0].Body) != fmt.Sprint(i) || ds[0].Metadata["n"] != fmt.Sprint(i) || ds[0].Origin.Deliveries != 1 {
				t.Fatalf("%s: message %d is %+v, %v, want its body and metadata, delivered once", queue, i, ds, err)
			}
			ds[0].Ack()
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"jobs_hints", "jobs_messages"} {
		var left int
		if err := owner.QueryRow(t.Context(), "SELECT count(*) FROM work."+table).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d rows are left in %s, %v, want none: Close waits for acks", left, table, err)
		}
	}
}

func TestDatabasesThatCannotHaveQueues(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	for want, dsn := range map[string][2]string{
		"sqlpubsub/postgres": {"pgx", "postgres://nowhere"}, "wal": {"sqlite", "file:" + file + "?_pragma=journal_mode(delete)"},
	} {
		db, err := sql.Open(dsn[0], dsn[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if _, err := sqlpubsub.OpenDB(t.Context(), db, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("OpenDB(%v) = %v, want an error that says %q", dsn, err, want)
		}
	}
	for _, o := range []*sqlpubsub.Options{{Prefix: "a b"}, {Schema: `x"y`}, {Visibility: -1}} {
		if _, err := sqlpubsub.OpenDB(t.Context(), nil, o); err == nil {
			t.Errorf("OpenDB(%+v) = nil, want an error", o)
		}
	}
}

// The application's pool may run statements in any way of pgx; behind a pooler, in one that prepares none.
func TestPoolsThatRunStatementsInOtherWays(t *testing.T) {
	direct := postgres.Start(t)
	pooler := postgres.StartPooler(t, direct, "transaction")
	for _, c := range []struct {
		url  string
		mode pgx.QueryExecMode
	}{
		{direct, pgx.QueryExecModeCacheStatement}, {direct, pgx.QueryExecModeDescribeExec},
		{pooler, pgx.QueryExecModeExec}, {pooler, pgx.QueryExecModeSimpleProtocol}, {pooler, pgx.QueryExecModeCacheDescribe},
	} {
		config, err := pgxpool.ParseConfig(c.url)
		if err != nil {
			t.Fatal(err)
		}
		config.ConnConfig.DefaultQueryExecMode, config.MaxConns = c.mode, 1
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		q, err := sqlpostgres.OpenPool(t.Context(), pool, nil)
		q = opened(t, q, err)
		queue := fmt.Sprint("mode-", c.mode, c.url == pooler)
		sub, err := q.SubscribeDirect(queue)
		if err != nil {
			t.Fatal(err)
		}
		body := []byte("\x00'\\ü{}\",\xff")
		if err := q.SendDirect(t.Context(), queue, 0, []pubsubq.Raw{{Body: body, Metadata: map[string]string{"a": `"{\`}}, {}}); err != nil {
			t.Errorf("%v: send: %v", c.mode, err)
			continue
		}
		ds, err := sub.ReceiveDirect(t.Context(), 10)
		if err != nil || len(ds) != 2 || string(ds[0].Body) != string(body) || ds[0].Metadata["a"] != `"{\` || len(ds[1].Body) != 0 {
			t.Errorf("%v: received %+v, %v, want what was sent", c.mode, ds, err)
		}
	}
}

// A queue that cannot be sent to does not make others fail of the same moment, which are sent once.
func TestAQueueThatRefusesFailsAlone(t *testing.T) {
	q := openPostgres(t, nil)
	var senders sync.WaitGroup
	for i := range 40 {
		senders.Go(func() {
			queue := "good"
			if i%10 == 0 {
				queue = "b\x00d" // which is no text for PostgreSQL
			}
			err := q.SendDirect(t.Context(), queue, 0, []pubsubq.Raw{{Body: []byte("x")}})
			if refused := queue != "good"; refused != (err != nil) {
				t.Errorf("send to %q = %v, want an error only of the queue whose name is refused", queue, err)
			}
		})
	}
	senders.Wait()
	sub, err := q.SubscribeDirect("good")
	if err != nil {
		t.Fatal(err)
	}
	ds, err := sub.ReceiveDirect(t.Context(), 100)
	if err != nil || len(ds) != 36 {
		t.Errorf("received %d, %v, want 36", len(ds), err)
	}
}

func TestManyMessagesAtOnce(t *testing.T) {
	q := openSQLite(t, nil)
	const n = 70_000
	if err := q.SendDirect(t.Context(), "many", 0, make([]pubsubq.Raw, n)); err != nil {
		t.Fatal(err)
	}
	sub, err := q.SubscribeDirect("many")
	if err != nil {
		t.Fatal(err)
	}
	ds, err := sub.ReceiveDirect(t.Context(), 2*n)
	if err != nil || len(ds) != n {
		t.Errorf("received %d, %v, want %d", len(ds), err, n)
	}
}

// A caller that has given up does not send later.
func TestASendThatWasGivenUpIsNotSent(t *testing.T) {
	q := openSQLite(t, nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.SendDirect(ended, "late", 0, []pubsubq.Raw{{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("SendDirect() = %v, want the error of its context", err)
	}
	sub, err := q.SubscribeDirect("late")
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if ds, err := sub.ReceiveDirect(soon, 1); err == nil {
		t.Errorf("received %d messages, want none", len(ds))
	}
}

// Senders that give up at about the time at which their messages are sent are told one or the other.
func TestSendersThatGiveUp(t *testing.T) {
	q := openSQLite(t, nil)
	var told, failed atomic.Int64
	var senders sync.WaitGroup
	for i := range 500 {
		senders.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%50)*20*time.Microsecond)
			defer cancel()
			if err := q.SendDirect(ctx, "jobs", 0, []pubsubq.Raw{{}}); err == nil {
				told.Add(1)
			} else if errors.Is(err, context.DeadlineExceeded) {
				failed.Add(1)
			} else {
				t.Errorf("SendDirect() = %v, want nil or the end of its context", err)
			}
		})
	}
	senders.Wait()
	sub, err := q.SubscribeDirect("jobs")
	if err != nil {
		t.Fatal(err)
	}
	for got := int64(0); got < told.Load(); {
		soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		ds, err := sub.ReceiveDirect(soon, 1000)
		cancel()
		if err != nil {
			t.Fatalf("received %d, %v; want the %d at least that were sent", got, err, told.Load())
		}
		got += int64(len(ds))
	}
	t.Logf("%d were sent, %d given up", told.Load(), failed.Load())
}

// A queue that fails says so, until it works again.
func TestAQueueThatFailsSaysSo(t *testing.T) {
	url := postgres.Start(t)
	failed := make(chan error, 100)
	q := openURL(t, url, &sqlpubsub.Options{OnError: func(err error) { failed <- err }})
	r := queues{q, pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q})}.Receiver("jobs")
	sender := pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q})
	if err := errors.Join(sender.Check(t.Context(), "jobs"), r.Err()); err != nil {
		t.Errorf("check = %v, want nil", err)
	}
	owner, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	rename := func(from, to string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	rename("queue_messages", "away")
	received := make(chan int, 1)
	go func() {
		ds, _ := r.Receive(t.Context(), 1)
		received <- len(ds)
	}()
	<-failed
	if err := r.Err(); err == nil {
		t.Error("Err() = nil while the table is away, want why")
	}
	if err := sender.Check(t.Context(), "jobs"); err == nil {
		t.Error("Check() = nil while the table is away, want why")
	}
	rename("away", "queue_messages")
	if err := sender.SendRaw(t.Context(), "jobs", pubsubq.Raw{Body: []byte("x")}); err != nil {
		t.Error(err)
	}
	if n := <-received; n != 1 || r.Err() != nil {
		t.Errorf("received %d, Err() = %v after the table was back, want 1 and nil", n, r.Err())
	}
}
