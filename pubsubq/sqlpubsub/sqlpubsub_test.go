package sqlpubsub_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/pubsub"
	_ "modernc.org/sqlite"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/sqlpubsub"
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
	q, err := sqlpubsub.OpenPool(t.Context(), pool, opts)
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

func testQueue(t *testing.T, transient bool, open func(testing.TB, *sqlpubsub.Options) *sqlpubsub.Queues) {
	t.Helper()
	t.Parallel()
	const visibility = 3 * time.Second
	n := 0
	h := conformance.QueueHarness{
		Queue:    func(*testing.T) string { n++; return fmt.Sprint("queue-", n) },
		MaxDelay: sqlpubsub.MaxDelay, AtMostOnce: transient, MaxBody: 2_000_000,
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
	for name, transient := range map[string]bool{"durable": false, "transient": true} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "queue.db")
			testQueue(t, transient, func(t testing.TB, o *sqlpubsub.Options) *sqlpubsub.Queues { return openFile(t, file, o) })
		})
	}
}

func TestQueueInPostgres(t *testing.T) {
	for name, transient := range map[string]bool{"durable": false, "transient": true} {
		t.Run(name, func(t *testing.T) {
			url := postgres.Start(t)
			testQueue(t, transient, func(t testing.TB, o *sqlpubsub.Options) *sqlpubsub.Queues { return openURL(t, url, o) })
		})
	}
}

func TestQueueBehindAPooler(t *testing.T) {
	url := postgres.StartPooler(t, postgres.Start(t), "transaction")
	testQueue(t, true, func(t testing.TB, o *sqlpubsub.Options) *sqlpubsub.Queues { return openURL(t, url, o) })
}
