package memqueue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/piecework/piecework/pubsubq"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
)

// ErrClosed says that the queue, or the subscription, has been closed.
var ErrClosed = errors.New("memqueue: closed")

// QueueOptions are the options of a [Queue]. The zero value is fine.
type QueueOptions struct {
	// KeepDuplicates switches off that a hint ([pubsubq.Message] with the same id, in the form that Encode writes)
	// adds nothing while one like it is ready and not yet received. Of two such, the receiver of the first reads a
	// record that is as new as the receiver of the second would. Delayed messages count only once their delay has
	// ended, and other messages are always kept: two equal submissions are two jobs.
	KeepDuplicates bool

	// Subscription is used for subscriptions that are opened without options.
	Subscription *Options
}

// Options are the options of a subscription.
type Options struct {
	// AckDeadline is how long a message may be neither acked nor nacked before it is delivered again; 0 is for ever.
	// In one process a receiver does not vanish, so this is only a net for bugs. Without any Options it is one hour.
	AckDeadline time.Duration

	// NackDelay is how long a nacked message waits before it is delivered again.
	NackDelay time.Duration

	// Prefetch is how many messages gocloud's portable layer may fetch at a time. It fetches ahead, so it then holds
	// up to this many messages, and more, that nobody has asked for. The default is 1, which holds two at the most.
	// [pubsubq.Direct] fetches nothing ahead.
	Prefetch int
}

// Queue is a set of named queues in this process, each made on first use. All methods may be called concurrently.
type Queue struct {
	opts QueueOptions

	mu     sync.RWMutex
	lanes  map[string]*lane
	closed bool
}

var _ pubsubq.Direct = (*Queue)(nil)

// New returns an empty Queue. Opts may be nil.
func New(opts *QueueOptions) *Queue {
	q := &Queue{lanes: map[string]*lane{}}
	if opts != nil {
		q.opts = *opts
	}
	if q.opts.Subscription == nil {
		q.opts.Subscription = &Options{AckDeadline: time.Hour}
	}
	return q
}

// Topic opens the named queue for sending through gocloud. Its Shutdown closes this topic only.
func (q *Queue) Topic(name string) *pubsub.Topic {
	// One handler and no size limit: while it runs, whatever arrives is packed for its next turn.
	return pubsub.NewTopic(&topic{queue: q, name: name}, &batcher.Options{MaxHandlers: 1})
}

// Subscription opens the named queue for receiving through gocloud. Its Shutdown gives back what was not acked.
func (q *Queue) Subscription(name string, opts *Options) *pubsub.Subscription {
	s := q.subscribe(name, opts)
	fetch := &batcher.Options{MaxHandlers: 1, MaxBatchSize: max(s.opts.Prefetch, 1)}
	return pubsub.NewSubscription(&driverSub{s}, fetch, &batcher.Options{MaxHandlers: 1})
}

// Len returns how many messages wait on the named queue, ready or delayed. Those that have been received are not
// counted; see [Queue.InFlight].
func (q *Queue) Len(name string) int {
	l := q.peek(name)
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready.len() + len(l.delayed)
}

// InFlight returns how many messages of the named queue have been received and neither acked nor nacked.
func (q *Queue) InFlight(name string) int {
	l := q.peek(name)
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight
}

// Close ends the queue: waiting receivers return, timers stop, and all messages are gone. Later sends fail with
// [ErrClosed]. Close may be called twice.
func (q *Queue) Close() error {
	q.mu.Lock()
	q.closed = true
	lanes := q.lanes
	q.lanes = map[string]*lane{}
	q.mu.Unlock()
	for _, l := range lanes {
		l.close()
	}
	return nil
}

// SendDirect implements [pubsubq.Direct].
func (q *Queue) SendDirect(ctx context.Context, queue string, delay time.Duration, msgs []pubsubq.Raw) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	items := make([]*item, len(msgs))
	for i, m := range msgs {
		items[i] = q.newItem(m.Body, m.Metadata, delay)
	}
	return q.send(queue, items)
}

// SubscribeDirect implements [pubsubq.Direct].
func (q *Queue) SubscribeDirect(queue string) (pubsubq.DirectSubscription, error) {
	q.mu.RLock()
	closed := q.closed
	q.mu.RUnlock()
	if closed {
		return nil, fmt.Errorf("subscribe to %q: %w", queue, ErrClosed)
	}
	return q.subscribe(queue, nil), nil
}

func (q *Queue) send(name string, items []*item) error {
	l := q.lane(name)
	if l == nil || !l.send(items) {
		return fmt.Errorf("send to %q: %w", name, ErrClosed)
	}
	return nil
}

func (q *Queue) subscribe(name string, opts *Options) *subscription {
	if opts == nil {
		opts = q.opts.Subscription
	}
	l := q.lane(name)
	if l == nil { // closed: a subscription that says so when it is used
		l = newLane()
		l.close()
	}
	return &subscription{lane: l, opts: *opts}
}

func (q *Queue) peek(name string) *lane {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.lanes[name]
}

// lane returns the named lane, made on first use; nil if the queue is closed.
func (q *Queue) lane(name string) *lane {
	if l := q.peek(name); l != nil {
		return l
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	l := q.lanes[name]
	if l == nil {
		l = newLane()
		q.lanes[name] = l
	}
	return l
}
