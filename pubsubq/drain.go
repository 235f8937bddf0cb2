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

// giveBack nacks what gocloud has fetched ahead, which its Shutdown would leave to wait for the ack deadline. They
// are taken first and nacked then, lest they be fetched again. The most that gocloud holds is 3000. Each look also
// begins another fetch, which the Shutdown that follows cancels; if that fetch ends in between, its messages do wait
// for their deadline: with fetches of one, as the package comment recommends, that is one message.
//
// It asks several times, because a fetch that has ended while nobody was waiting keeps a goroutine until somebody
// waits, which would outlive Shutdown.
func giveBack(sub *pubsub.Subscription) {
	var msgs []*pubsub.Message
	for empty := 0; empty < 16 && len(msgs) < 3000; {
		if m := receiveNow(sub); m != nil {
			msgs = append(msgs, m)
		} else {
			empty++
		}
	}
	for _, m := range msgs {
		if m.Nackable() { // else it is left alone: Kafka sends it again if it is not acked
			m.Nack()
		}
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
