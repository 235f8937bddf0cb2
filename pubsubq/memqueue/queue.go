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

// Options are the options of a subscription. The zero value is good.
type Options struct {
	// AckDeadline is how long a message may be neither acked nor nacked before it is delivered
	// again. 0 means no limit. It is a safety net for bugs: in one process, a receiver does not
	// vanish.
	AckDeadline time.Duration

	// NackDelay is how long a nacked message waits before it is delivered again.
	NackDelay time.Duration

	// Prefetch is how many messages gocloud's portable layer may fetch at a time. It fetches ahead,
	// so it holds this many messages or more that were not asked for. The default is 1, which holds
	// at most two. [pubsubq.Direct] fetches nothing ahead.
	Prefetch int
}

// Queue is a set of named queues in this process, each created on first use. All methods may be
// called concurrently.
type Queue struct {
	opts Options // of subscriptions that are opened without options

	mu     sync.RWMutex
	named  map[string]*namedQueue
	closed bool
}

var _ pubsubq.Direct = (*Queue)(nil)

// New returns an empty Queue. Subscriptions that are opened without options use opts, which may be
// nil: then they have an ack deadline of one hour.
func New(opts *Options) *Queue {
	if opts == nil {
		opts = &Options{AckDeadline: time.Hour}
	}
	return &Queue{named: map[string]*namedQueue{}, opts: *opts}
}

// Topic opens the named queue for sending through gocloud. Its Shutdown closes this topic only.
func (q *Queue) Topic(name string) *pubsub.Topic {
	// One handler and no size limit: messages that arrive while it runs are one batch of its next
	// turn.
	return pubsub.NewTopic(&topic{queue: q, name: name}, &batcher.Options{MaxHandlers: 1})
}

// Subscription opens the named queue for receiving through gocloud. Its Shutdown gives back
// messages that were not acked.
func (q *Queue) Subscription(name string, opts *Options) *pubsub.Subscription {
	s := q.subscribe(name, opts)
	fetch := &batcher.Options{MaxHandlers: 1, MaxBatchSize: max(s.opts.Prefetch, 1)}
	return pubsub.NewSubscription(&driverSub{s}, fetch, &batcher.Options{MaxHandlers: 1})
}

// Len returns how many messages wait on the named queue, ready or delayed. Received messages are
// not counted; see [Queue.InFlight].
func (q *Queue) Len(name string) int {
	n := q.peek(name)
	if n == nil {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ready.len() + len(n.delayed)
}

// InFlight returns how many messages of the named queue have been received and neither acked nor
// nacked.
func (q *Queue) InFlight(name string) int {
	n := q.peek(name)
	if n == nil {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.inFlight
}

// Close ends the queue: waiting receivers return, timers stop, and all messages are dropped. Later
// sends fail with [ErrClosed]. Close may be called twice.
func (q *Queue) Close() error {
	q.mu.Lock()
	q.closed = true
	all := q.named
	q.named = map[string]*namedQueue{}
	q.mu.Unlock()
	for _, n := range all {
		n.close()
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
		items[i] = newItem(m.Body, m.Metadata, delay)
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
	n := q.find(name)
	if n == nil || !n.send(items) {
		return fmt.Errorf("send to %q: %w", name, ErrClosed)
	}
	return nil
}

func (q *Queue) subscribe(name string, opts *Options) *subscription {
	if opts == nil {
		opts = &q.opts
	}
	n := q.find(name)
	if n == nil { // closed: the subscription returns ErrClosed when it is used
		n = newNamedQueue()
		n.close()
	}
	return &subscription{queue: n, opts: *opts}
}

func (q *Queue) peek(name string) *namedQueue {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.named[name]
}

// find returns the queue of a name, created on first use, or nil if q is closed.
func (q *Queue) find(name string) *namedQueue {
	if n := q.peek(name); n != nil {
		return n
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	n := q.named[name]
	if n == nil {
		n = newNamedQueue()
		q.named[name] = n
	}
	return n
}
