package pubsubq

import (
	"context"
	"sync"
	"time"

	"gocloud.dev/pubsub"
)

// receiveSome waits for one message and takes up to max of those that gocloud has at hand. It returns an error only if
// it has no message.
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

// receiveNow returns a message that gocloud has fetched already, or nil if there is none. An error shows up again in
// the next Receive that waits.
func receiveNow(sub *pubsub.Subscription) *pubsub.Message {
	m, err := sub.Receive(&impatient{done: make(chan struct{})})
	if err != nil {
		return nil
	}
	return m
}

// closeGivingBack shuts a subscription down and nacks what gocloud has fetched ahead, which its Shutdown alone would
// leave to wait for the ack deadline. What is there is taken first and nacked then, lest it be fetched again; gocloud
// holds 3000 at the most.
//
// While Shutdown cancels the fetch that is under way, somebody must be waiting for it: a fetch that has ended meanwhile
// otherwise keeps a goroutine for ever. With fetches of one, as the package comment recommends, nothing escapes; larger
// ones that end in this very moment may leave their messages to the deadline.
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
				return // by Shutdown
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
	if m.Nackable() { // else it is left alone: Kafka sends it again if it is not acked
		m.Nack()
	}
}

// impatient is a context that ends the moment somebody begins to wait for it. It makes of a call that first looks and
// then waits one that only looks, without the delay of a short timeout, which every message would have to bear.
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

// telling is a context that tells when somebody begins to wait for it.
type telling struct {
	context.Context
	once  sync.Once
	begun chan struct{}
}

func (c *telling) Done() <-chan struct{} {
	c.once.Do(func() { close(c.begun) })
	return c.Context.Done()
}
