package sqlpubsub

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"
)

// Options are the options of [Queues]. The zero value is good.
type Options struct {
	// Schema is the PostgreSQL schema of the tables. Default: the first of the search_path. SQLite
	// has none.
	Schema string
	// Prefix begins the names of the two tables, PREFIX_messages and PREFIX_hints. Default "queue".
	Prefix string
	// Transient reports whether the messages of a queue may be lost; see the package comment.
	// Default: those of no queue may.
	Transient func(queue string) bool
	// Visibility is how long a message that is received, and neither acked nor nacked, is hidden
	// from other receivers. Default 1 minute. It does not hold for transient messages.
	Visibility time.Duration
	// NoCreate says that the tables exist. Otherwise they are created when they are missing.
	NoCreate bool
	// Timeout is how long a statement may take, waiting for locks included. Default 10 seconds.
	Timeout time.Duration
	// OnError gets failures that no caller gets: of a receiver that tries again, of acks in the
	// background, of the connection that listens. Optional. It must not block.
	OnError func(err error)
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,47}$`)

func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	out.Prefix = cmp.Or(out.Prefix, "queue")
	out.Visibility, out.Timeout = cmp.Or(out.Visibility, time.Minute), cmp.Or(out.Timeout, 10*time.Second)
	if out.Transient == nil {
		out.Transient = func(string) bool { return false }
	}
	if out.OnError == nil {
		out.OnError = func(error) {}
	}
	for what, name := range map[string]string{"prefix": out.Prefix, "schema": cmp.Or(out.Schema, "public")} {
		if !identifier.MatchString(name) {
			return out, fmt.Errorf("sqlpubsub: %s %q: want letters, digits and _, at most 48, and no digit first", what, name)
		}
	}
	if out.Visibility < 0 || out.Timeout < 0 {
		return out, fmt.Errorf("sqlpubsub: visibility %v, timeout %v: want both positive", out.Visibility, out.Timeout)
	}
	return out, nil
}

// never is longer than anybody waits.
const never = time.Duration(1<<63 - 1)

// database is PostgreSQL or SQLite. A statement is applied whole or not at all, and after an error
// of the connection it may have been applied.
type database interface { //nolint:interfacebloat // one for each thing that a queue does
	// create runs the statements that create the tables, unless both tables are there.
	create(ctx context.Context, statements []string, tables [2]*table) error
	// insert adds messages, all or none, whose due is a delay, and wakes receivers everywhere.
	insert(ctx context.Context, t *table, queue string, rows []row) error
	// insertBy is insert by statements of a transaction of the caller.
	insertBy(ctx context.Context, run Exec, t *table, queue string, rows []row) error
	// inTx returns how to run statements in a transaction of the caller.
	inTx(tx any) (Exec, error)
	// take returns up to most messages that are due, which it removes or hides. No other call
	// returns them, then or until they are due again. If it returns none, it says as next does how
	// long to wait.
	take(ctx context.Context, t *table, queue string, most int) ([]row, time.Duration, error)
	// remove removes messages, unless they have been received again since.
	remove(ctx context.Context, t *table, queue string, rows []row) error
	// giveBack makes messages due, unless they have been received again since, and wakes receivers.
	giveBack(ctx context.Context, t *table, queue string, rows []row) error
	// next returns when the first message of a queue is due: 0 or less if it is, never if there is none.
	next(ctx context.Context, t *table, queue string) (time.Duration, error)
	// watch calls ring for a queue in which there may be something new, with "" for all, until ctx ends.
	watch(ctx context.Context, ring func(queue string))
	// senders is how many inserts are worth running at the same time.
	senders() int
	close() error
}

// Queues are all queues in two tables of a database. All methods may be called concurrently.
type Queues struct {
	db     database
	opts   Options
	tables [2]*table // durable, transient
	bells  bells
	out    outbox

	life context.Context
	stop context.CancelFunc

	mu       sync.Mutex
	watching bool
	working  sync.WaitGroup
}

// OpenDB opens queues in SQLite, and creates the tables if they are missing. The database must be a
// file in WAL mode. Three connections of db are kept until Close, which does not close db. The
// options may be nil.
func OpenDB(ctx context.Context, db *sql.DB, opts *Options) (*Queues, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := openSQLite(ctx, db, o)
	if err != nil {
		return nil, err
	}
	return open(ctx, s, o, sqliteDialect)
}

func open(ctx context.Context, db database, o Options, d dialect) (*Queues, error) {
	q := &Queues{db: db, opts: o, tables: [2]*table{newTable(d, o, false), newTable(d, o, true)}}
	q.life, q.stop = context.WithCancel(context.Background())
	q.out = newOutbox(q)
	if !o.NoCreate {
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		if err := db.create(ctx, Schema(d.name, &o), q.tables); err != nil {
			return nil, errors.Join(fmt.Errorf("sqlpubsub: create tables %s: %w", o.Prefix+"_*", err), db.close())
		}
	}
	return q, nil
}

// tableOf returns the table of a queue.
func (q *Queues) tableOf(queue string) *table {
	if q.opts.Transient(queue) {
		return q.tables[1]
	}
	return q.tables[0]
}

// insert sends messages and wakes the receivers of this process, which need not wait for the
// database's own notice.
func (q *Queues) insert(ctx context.Context, t *table, queue string, rows []row) error {
	ctx, cancel := context.WithTimeout(ctx, q.opts.Timeout)
	defer cancel()
	if err := q.db.insert(ctx, t, queue, rows); err != nil {
		return fmt.Errorf("insert %d messages into %s: %w", len(rows), t.name, err)
	}
	q.bells.ring(queue)
	return nil
}

// Close ends the receivers, after messages that are being sent and acks in the background. It does
// not close the database. Close may be called twice.
func (q *Queues) Close() error {
	q.out.shutdown()
	q.mu.Lock()
	q.stop()
	q.mu.Unlock()
	q.bells.ring("")
	q.working.Wait()
	if err := q.db.close(); err != nil {
		return fmt.Errorf("sqlpubsub: close: %w", err)
	}
	return nil
}

// watch begins to watch the database for messages of other processes.
func (q *Queues) watch() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.watching && q.life.Err() == nil {
		q.watching = true
		q.working.Go(func() { q.db.watch(q.life, q.bells.ring) })
	}
}

// bells wake receivers that wait for messages of a queue.
type bells struct {
	mu    sync.Mutex
	queue map[string]chan struct{}
}

// listen returns a channel that is closed when the queue's bell rings next.
func (b *bells) listen(queue string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.queue[queue]
	if !ok {
		if b.queue == nil {
			b.queue = map[string]chan struct{}{}
		}
		c = make(chan struct{})
		b.queue[queue] = c
	}
	return c
}

// ring wakes the receivers of a queue, or of all for "".
func (b *bells) ring(queue string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, c := range b.queue {
		if name == queue || queue == "" {
			close(c)
			delete(b.queue, name)
		}
	}
}
