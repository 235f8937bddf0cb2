package sqlpubsub

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/pubsubq"
)

const (
	// maxBatch is how many callers share a statement at most.
	maxBatch = 1000
	// maxRows is after how many messages no other caller's are added to a statement.
	maxRows = 5000
)

// Topic returns the topic of a queue.
func (q *Queues) Topic(queue string) *pubsub.Topic {
	return pubsub.NewTopic(&topic{q, q.tableOf(queue), queue}, &batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: q.db.senders()})
}

type topic struct {
	queues *Queues
	table  *table
	queue  string
}

// SendBatch sends all messages or none.
func (t *topic) SendBatch(ctx context.Context, ms []*driver.Message) error {
	rows := make([]row, len(ms))
	for i, m := range ms {
		out := &Outgoing{}
		if m.BeforeSend != nil {
			if err := m.BeforeSend(out.as); err != nil {
				return fmt.Errorf("before send: %w", err)
			}
		}
		var err error
		if rows[i], err = newRow(m.Body, m.Metadata, out.Delay); err != nil {
			return err
		}
	}
	number(rows)
	if err := t.queues.insert(ctx, t.table, t.queue, rows); err != nil {
		return err
	}
	for _, m := range ms {
		if m.AfterSend != nil {
			if err := m.AfterSend(none); err != nil {
				return fmt.Errorf("after send: %w", err)
			}
		}
	}
	return nil
}

func (o *Outgoing) as(i any) bool {
	p, ok := i.(**Outgoing)
	if ok {
		*p = o
	}
	return ok
}

func none(any) bool { return false }

func (*topic) IsRetryable(error) bool                 { return false }
func (*topic) ErrorAs(err error, i any) bool          { return errorAs(err, i) }
func (*topic) ErrorCode(err error) gcerrors.ErrorCode { return codeOf(err) }
func (*topic) Close() error                           { return nil }

// As gives access to the driver.
func (t *topic) As(i any) bool {
	p, ok := i.(*driver.Topic)
	if ok {
		*p = t
	}
	return ok
}

// parcel is what one caller of SendDirect sends.
type parcel struct {
	ctx   context.Context
	queue string
	rows  []row
	err   error // set when Add has returned nil
}

// verdict is the end of a delivery.
type verdict struct {
	queue string
	row   row
	ack   bool
}

// outbox collects what callers send or settle at the same time into few statements: while some run,
// what comes meanwhile becomes the next.
type outbox struct {
	parcels, verdicts *batcher.Batcher
}

func newOutbox(q *Queues) outbox {
	return outbox{
		parcels: batcher.New(reflect.TypeFor[*parcel](), &batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: q.db.senders()},
			func(items any) error { return q.sendParcels(items.([]*parcel)) }),
		verdicts: batcher.New(reflect.TypeFor[*verdict](), &batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 1},
			func(items any) error { return q.settle(items.([]*verdict)) }),
	}
}

// shutdown waits for what is under way.
func (o *outbox) shutdown() {
	o.parcels.Shutdown()
	o.verdicts.Shutdown()
}

// SendDirect implements [pubsubq.Direct].
func (q *Queues) SendDirect(ctx context.Context, queue string, delay time.Duration, msgs []pubsubq.Raw) error {
	if len(msgs) == 0 {
		return nil
	}
	rows, err := newRows(msgs, delay)
	if err != nil {
		return err
	}
	p := &parcel{ctx: ctx, queue: queue, rows: rows}
	err = q.out.parcels.Add(ctx, p)
	if err == nil {
		err = p.err
	}
	if err != nil {
		return fmt.Errorf("sqlpubsub: %w", err)
	}
	return nil
}

// CheckDirect implements [pubsubq.DirectChecker]: it looks into the table of the queue, which shows that
// the database answers and not that it takes writes.
func (q *Queues) CheckDirect(ctx context.Context, queue string) error {
	ctx, cancel := context.WithTimeout(ctx, q.opts.Timeout)
	defer cancel()
	if _, err := q.db.next(ctx, q.tableOf(queue), queue); err != nil {
		return fmt.Errorf("sqlpubsub: look into %s: %w", queue, err)
	}
	return nil
}

// sendParcels sends the parcels whose callers still wait, those of a queue together up to about
// maxRows messages, and puts the outcome into each.
func (q *Queues) sendParcels(ps []*parcel) error {
	byQueue := map[string][]*parcel{}
	for _, p := range ps {
		if p.err = p.ctx.Err(); p.err == nil {
			byQueue[p.queue] = append(byQueue[p.queue], p)
		}
	}
	for _, together := range byQueue {
		for n, i := 0, 0; i < len(together); i++ {
			if n += len(together[i].rows); n >= maxRows || i == len(together)-1 {
				q.sendTogether(together[:i+1])
				together, n, i = together[i+1:], 0, -1
			}
		}
	}
	return nil
}

// sendTogether sends parcels to one queue in one statement.
func (q *Queues) sendTogether(ps []*parcel) {
	var rows []row
	for _, p := range ps {
		rows = append(rows, p.rows...)
	}
	number(rows)
	queue := ps[0].queue
	err := q.insert(context.Background(), q.tableOf(queue), queue, rows)
	for _, p := range ps {
		p.err = err
	}
}

// settle ends deliveries.
func (q *Queues) settle(vs []*verdict) error {
	type end struct {
		queue string
		ack   bool
	}
	rows := map[end][]row{}
	for _, v := range vs {
		rows[end{v.queue, v.ack}] = append(rows[end{v.queue, v.ack}], v.row)
	}
	var errs []error
	for e, rows := range rows {
		if e.ack {
			errs = append(errs, q.ack(context.Background(), e.queue, rows))
		} else {
			errs = append(errs, q.nack(context.Background(), e.queue, rows))
		}
	}
	err := errors.Join(errs...)
	if err != nil {
		q.opts.OnError(err)
	}
	return err
}

func (q *Queues) ack(ctx context.Context, queue string, rows []row) error {
	t := q.tableOf(queue)
	if t.transient {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, q.opts.Timeout)
	defer cancel()
	if err := q.db.remove(ctx, t, queue, rows); err != nil {
		return fmt.Errorf("ack %d messages of %s: %w", len(rows), queue, err)
	}
	return nil
}

func (q *Queues) nack(ctx context.Context, queue string, rows []row) error {
	t := q.tableOf(queue)
	if t.transient {
		for i := range rows {
			rows[i].due = 0
		}
		return q.insert(ctx, t, queue, rows)
	}
	ctx, cancel := context.WithTimeout(ctx, q.opts.Timeout)
	defer cancel()
	if err := q.db.giveBack(ctx, t, queue, rows); err != nil {
		return fmt.Errorf("give back %d messages of %s: %w", len(rows), queue, err)
	}
	q.bells.ring(queue)
	return nil
}
