package pubsubq

import (
	"context"
	"sync"
	"time"

	"gocloud.dev/pubsub"
)

// receiveSome waits for a message, and returns up to max of the messages that gocloud has fetched.
// It returns either a message or an error.
func receiveSome(ctx context.Context, sub *pubsub.Subscription, max int) ([]*pubsub.Message, error) {
	m, err := sub.Receive(ctx)
	if err != nil {
		return nil, err
	}
	msgs := []*pubsub.Message{m}
	for len(msgs) < max {
		m := receiveNow(sub)
		if m == nil {
			break
		}
		msgs = append(msgs, m)
	}
	return msgs, nil
}

// receiveNow returns a message that gocloud has fetched, or nil if there is none. The next Receive
// that waits returns an error again.
func receiveNow(sub *pubsub.Subscription) *pubsub.Message {
	m, err := sub.Receive(&impatient{done: make(chan struct{})})
	if err != nil {
		return nil
	}
	return m
}

// closeGivingBack shuts a subscription down, and nacks the messages that gocloud has fetched ahead.
// With Shutdown alone they would wait for their ack deadline. It takes all of them, at most 3000,
// before it nacks the first one, so that none is fetched again.
//
// A call of Receive must wait while Shutdown cancels the running fetch. Otherwise a fetch that ends
// at that moment leaks a goroutine. With fetches of one message, as the package comment recommends,
// every message is given back. Messages of larger fetches that end at that moment may wait for
// their deadline.
func closeGivingBack(ctx context.Context, sub *pubsub.Subscription) error {
	var ahead []*pubsub.Message
	for len(ahead) < 3000 {
		m := receiveNow(sub)
		if m == nil {
			break
		}
		ahead = append(ahead, m)
	}
	waiting := &telling{Context: ctx, begun: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			m, err := sub.Receive(waiting)
			if err != nil {
				return // Shutdown
			}
			giveBack(m)
		}
	}()
	for _, m := range ahead {
		giveBack(m)
	}
	select {
	case <-waiting.begun:
	case <-ended:
	}
	err := sub.Shutdown(ctx)
	<-ended
	return err
}

func giveBack(m *pubsub.Message) {
	if m.Nackable() { // Kafka sends a message again that is not acked
		m.Nack()
	}
}

// impatient is a context that ends when a caller begins to wait for it. With it, a call that first
// looks and then waits only looks, without the delay of a short timeout for each message.
type impatient struct {
	once sync.Once
	done chan struct{}
}

func (c *impatient) Done() <-chan struct{} {
	c.once.Do(func() { close(c.done) })
	return c.done
}

func (c *impatient) Err() error {
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

func (c *impatient) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *impatient) Value(any) any               { return nil }

// telling is a context that closes begun when a caller begins to wait for it.
type telling struct {
	context.Context
	once  sync.Once
	begun chan struct{}
}

func (c *telling) Done() <-chan struct{} {
	c.once.Do(func() { close(c.begun) })
	return c.Context.Done()
}
