package pubsubq

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
)

// queueTopic keeps the topic of one queue open. A topic that has failed is not used again, because
// some drivers do not redial. After the first failure the next Send opens another topic. If that
// fails too, sends fail at once for a while, with the cause, because a hint that is not sent soon
// is better left to sweep.
type queueTopic struct {
	queue   string
	open    OpenTopic
	onError func(queue string, err error)
	gate    chan struct{} // holds one token unless the topic is being opened
	life    context.Context
	stop    context.CancelFunc

	mu     sync.Mutex
	topic  *openTopic // nil: to be opened
	pause  pause
	closed bool
	ending sync.WaitGroup // topics being shut down in the background
}

// openTopic is a topic with the number of its users. It is shut down after the last one.
type openTopic struct {
	topic  *pubsub.Topic
	users  int
	broken bool
	proven bool // has sent something
}

func newQueueTopic(queue string, open OpenTopic, onError func(string, error)) *queueTopic {
	q := &queueTopic{queue: queue, open: open, onError: onError, gate: make(chan struct{}, 1)}
	q.life, q.stop = context.WithCancel(context.Background())
	q.gate <- struct{}{}
	return q
}

// acquire returns the topic, and opens it if it must. The caller must release it once.
func (q *queueTopic) acquire(ctx context.Context) (*openTopic, error) {
	for {
		if t, err := q.current(); t != nil || err != nil {
			return t, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("open topic: %w", ctx.Err())
		case <-q.gate:
		}
		if t, err := q.current(); t != nil || err != nil { // another caller has opened it
			q.gate <- struct{}{}
			return t, err
		}
		done := make(chan error, 1)
		go func() { // a driver may dial on after its caller has left: the next caller gets the topic
			err := q.reopen(context.WithoutCancel(ctx))
			q.gate <- struct{}{}
			done <- err
		}()
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("open topic: %w", ctx.Err())
		case <-q.life.Done():
			return nil, ErrShutdown
		case err := <-done:
			if err != nil {
				return nil, err
			}
		}
	}
}

// reopen opens the topic, or notes the failure.
func (q *queueTopic) reopen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	forget := context.AfterFunc(q.life, cancel)
	defer forget()
	topic, err := q.open(ctx, q.queue)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed && err == nil:
		q.end(&openTopic{topic: topic})
		return ErrShutdown
	case q.closed:
		return ErrShutdown
	case err != nil:
		err = fmt.Errorf("open topic: %w", err)
		q.pause.failed(err)
		q.onError(q.queue, err)
		return err
	default:
		q.topic = &openTopic{topic: topic}
		return nil
	}
}

// current returns the open topic. It returns nil if the topic must be opened first, and an error if
// that is not allowed now.
func (q *queueTopic) current() (*openTopic, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrShutdown
	}
	if q.topic != nil {
		q.topic.users++
		return q.topic, nil
	}
	if wait := q.pause.left(); wait > 0 {
		return nil, fmt.Errorf("not tried again for %v after: %w", wait.Round(time.Millisecond), q.pause.err)
	}
	return nil, nil
}

// release ends the use of a topic by a Send that ended with err. A cancelled caller does not mark
// the topic as failed, nor does a message that the driver refuses.
func (q *queueTopic) release(t *openTopic, err error, cancelled bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.users--
	if err == nil {
		if !t.proven {
			t.proven = true
			q.pause = pause{}
		}
	} else if !cancelled && !t.broken && gcerrors.Code(err) != gcerrors.InvalidArgument {
		t.broken = true
		if q.topic == t {
			q.topic = nil
		}
		if !t.proven { // after a topic that has worked, the next one is opened without a pause
			q.pause.failed(err)
		}
		q.onError(q.queue, err)
	}
	if t.broken && t.users == 0 {
		q.end(t)
	}
}

// check opens the topic if it is not open.
func (q *queueTopic) check(ctx context.Context) error {
	t, err := q.acquire(ctx)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.users--; t.broken && t.users == 0 {
		q.end(t)
	}
	return nil
}

// end shuts a topic down in the background, because its Shutdown waits for gocloud's retries.
func (q *queueTopic) end(t *openTopic) {
	shut := func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
		defer cancel()
		_ = Within(ctx, func() error { return t.topic.Shutdown(ctx) }) // the topic is broken anyway
	}
	if q.closed {
		go shut() // shutdown does not wait for it
		return
	}
	q.ending.Go(shut)
}

// shutdown closes the topic, after the messages that are being sent, or when ctx ends.
func (q *queueTopic) shutdown(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	t := q.topic
	q.topic = nil
	q.mu.Unlock()
	q.stop()
	return Within(ctx, func() error {
		var err error
		if t != nil {
			err = t.topic.Shutdown(ctx)
		}
		q.ending.Wait()
		return err
	})
}
