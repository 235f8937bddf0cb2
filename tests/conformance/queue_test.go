package conformance_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/mempubsub"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/tests/conformance"
)

// queueNames makes names.
func queueNames() func(t *testing.T) string {
	var n atomic.Int64
	return func(*testing.T) string {
		return "queue-" + time.Now().Format("150405") + "-" + string(rune('a'+n.Add(1)))
	}
}

// local is a broker in this process.
type local struct {
	send *pubsubq.Sender
	recv func(queue string) *pubsubq.Receiver
}

func (l local) Sender() *pubsubq.Sender                 { return l.send }
func (l local) Receiver(queue string) *pubsubq.Receiver { return l.recv(queue) }
func (l local) Close(ctx context.Context) error         { return l.send.Shutdown(ctx) }

func newQueue(t *testing.T) *memqueue.Queue {
	t.Helper()
	q := memqueue.New(nil)
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func TestQueueInThisProcess(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	conformance.Queue(t, conformance.QueueHarness{
		Queue: queueNames(), MaxDelay: memqueue.MaxDelay,
		Connect: func(*testing.T) conformance.Connection {
			return local{
				pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q}),
				func(queue string) *pubsubq.Receiver {
					return pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: queue})
				},
			}
		},
	})
}

func TestQueueInThisProcessThroughThePortableLayer(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	conformance.Queue(t, conformance.QueueHarness{
		Queue: queueNames(), MaxDelay: memqueue.MaxDelay,
		Connect: func(*testing.T) conformance.Connection {
			open := func(_ context.Context, queue string) (*pubsub.Topic, error) { return q.Topic(queue), nil }
			return local{
				pubsubq.NewSender(open, &pubsubq.SenderOptions{MaxDelay: memqueue.MaxDelay, Delay: memqueue.DelayHook}),
				func(queue string) *pubsubq.Receiver {
					return pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
						return q.Subscription(queue, nil), nil
					}, nil)
				},
			}
		},
	})
}

// gocloud's own queue in memory copies each message to each subscription, and forgets those who are not there.
func TestMemPubSub(t *testing.T) {
	t.Parallel()
	topics := map[string]*pubsub.Topic{}
	newName := queueNames()
	conformance.Queue(t, conformance.QueueHarness{
		FanOut: true, SubscribeFirst: true,
		Queue: func(t *testing.T) string {
			name := newName(t)
			topics[name] = mempubsub.NewTopic()
			return name
		},
		Connect: func(*testing.T) conformance.Connection {
			return local{
				pubsubq.NewSender(func(_ context.Context, queue string) (*pubsub.Topic, error) {
					return topics[queue], nil
				}, nil),
				func(queue string) *pubsubq.Receiver {
					return pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
						return mempubsub.NewSubscription(topics[queue], time.Minute), nil
					}, nil)
				},
			}
		},
	})
}
