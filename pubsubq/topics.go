package pubsubq

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
)

// topicLane keeps the topic of one queue open. A topic that failed is not used again: some drivers (RabbitMQ) never
// redial. The first failure is answered by opening anew at the next Send; if that fails as well, sends fail at once
// for a while, with the cause, because a hint that is not sent soon is better left to sweep.
type topicLane struct {
	queue   string
	open    OpenTopic
	onError func(queue string, err error)
	gate    chan struct{} // holds one token while nobody opens; makes opening interruptible by a context
	life    context.Context
	stop    context.CancelFunc

	mu     sync.Mutex
	topic  *openTopic // nil: to be opened
	pause  pause
	closed bool
	ending sync.WaitGroup // topics being shut down in the background
}

// openTopic is a topic with the number of its users, so that it is shut down only after the last.
type openTopic struct {
	topic  *pubsub.Topic
	users  int
	broken bool
	proven bool // has sent something
}

func newTopicLane(queue string, open OpenTopic, onError func(string, error)) *topicLane {
	l := &topicLane{queue: queue, open: open, onError: onError, gate: make(chan struct{}, 1)}
	l.life, l.stop = context.WithCancel(context.Background())
	l.gate <- struct{}{}
	return l
}

// acquire returns the topic, opened if need be. Every acquire that succeeds is followed by one release.
func (l *topicLane) acquire(ctx context.Context) (*openTopic, error) {
	for {
		if t, err := l.current(); t != nil || err != nil {
			return t, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("open topic: %w", ctx.Err())
		case <-l.gate:
		}
		if t, err := l.current(); t != nil || err != nil { // opened by another while we waited
			l.gate <- struct{}{}
			return t, err
		}
		done := make(chan error, 1)
		go func() { // drivers dial on when their caller has left: then this is for the next one
			err := l.reopen(context.WithoutCancel(ctx))
			l.gate <- struct{}{}
			done <- err
		}()
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("open topic: %w", ctx.Err())
		case <-l.life.Done():
			return nil, ErrShutdown
		case err := <-done:
			if err != nil {
				return nil, err
			}
		}
	}
}

// reopen opens the topic, or notes that it could not.
func (l *topicLane) reopen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	forget := context.AfterFunc(l.life, cancel)
	defer forget()
	topic, err := l.open(ctx, l.queue)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed && err == nil:
		l.end(&openTopic{topic: topic})
		return ErrShutdown
	case l.closed:
		return ErrShutdown
	case err != nil:
		err = fmt.Errorf("open topic: %w", err)
		l.pause.failed(err)
		l.onError(l.queue, err)
		return err
	default:
		l.topic = &openTopic{topic: topic}
		return nil
	}
}

// current returns the open topic, nil if there is none and one may be opened now, or why none may be.
func (l *topicLane) current() (*openTopic, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrShutdown
	}
	if l.topic != nil {
		l.topic.users++
		return l.topic, nil
	}
	if wait := l.pause.left(); wait > 0 {
		return nil, fmt.Errorf("not tried again for %v after: %w", wait.Round(time.Millisecond), l.pause.err)
	}
	return nil, nil
}

// release gives a topic back after a Send that ended with err. Given up by the caller is not a failure, and a message
// that the driver refuses says nothing about the topic.
func (l *topicLane) release(t *openTopic, err error, givenUp bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.users--
	if err == nil {
		if !t.proven {
			t.proven = true
			l.pause = pause{}
		}
	} else if !givenUp && !t.broken && gcerrors.Code(err) != gcerrors.InvalidArgument {
		t.broken = true
		if l.topic == t {
			l.topic = nil
		}
		if !t.proven { // one that has worked before is opened again without a pause
			l.pause.failed(err)
		}
		l.onError(l.queue, err)
	}
	if t.broken && t.users == 0 {
		l.end(t)
	}
}

// end shuts a topic down in the background: its Shutdown waits for what gocloud still retries.
func (l *topicLane) end(t *openTopic) {
	shut := func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
		defer cancel()
		_ = Within(ctx, func() error { return t.topic.Shutdown(ctx) }) // it is broken; there is nobody to tell
	}
	if l.closed {
		go shut() // nobody waits any more
		return
	}
	l.ending.Go(shut)
}

// shutdown closes the topic. Messages that are being sent are sent first, unless ctx ends before.
func (l *topicLane) shutdown(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	t := l.topic
	l.topic = nil
	l.mu.Unlock()
	l.stop()
	return Within(ctx, func() error {
		var err error
		if t != nil {
			err = t.topic.Shutdown(ctx)
		}
		l.ending.Wait()
		return err
	})
}
