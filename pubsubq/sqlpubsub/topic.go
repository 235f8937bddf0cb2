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

// maxBatch is how many messages a statement sends at most.
const maxBatch = 1000

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
	queue string
	rows  []row
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
	rows, err := newRows(msgs, delay)
	if err != nil {
		return err
	}
	if err := q.out.parcels.Add(ctx, &parcel{queue, rows}); err != nil {
		return fmt.Errorf("sqlpubsub: %w", err)
	}
	return nil
}

func (q *Queues) sendParcels(ps []*parcel) error {
	byQueue := map[string][]row{}
	for _, p := range ps {
		byQueue[p.queue] = append(byQueue[p.queue], p.rows...)
	}
	var errs []error
	for queue, rows := range byQueue {
		number(rows)
		errs = append(errs, q.insert(context.Background(), q.tableOf(queue), queue, rows))
	}
	return errors.Join(errs...)
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
