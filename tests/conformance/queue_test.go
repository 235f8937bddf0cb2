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

// lanes makes names.
func lanes() func(t *testing.T) string {
	var n atomic.Int64
	return func(*testing.T) string {
		return "lane-" + time.Now().Format("150405") + "-" + string(rune('a'+n.Add(1)))
	}
}

// local is a broker in this process.
type local struct {
	send *pubsubq.Sender
	recv func(lane string) *pubsubq.Receiver
}

func (l local) Sender() *pubsubq.Sender                { return l.send }
func (l local) Receiver(lane string) *pubsubq.Receiver { return l.recv(lane) }
func (l local) Close(ctx context.Context) error        { return l.send.Shutdown(ctx) }

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
		Lane: lanes(), MaxDelay: memqueue.MaxDelay,
		Connect: func(*testing.T) conformance.Connection {
			return local{
				pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q}),
				func(lane string) *pubsubq.Receiver {
					return pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: lane})
				},
			}
		},
	})
}

func TestQueueInThisProcessThroughThePortableLayer(t *testing.T) {
	t.Parallel()
	q := newQueue(t)
	conformance.Queue(t, conformance.QueueHarness{
		Lane: lanes(), MaxDelay: memqueue.MaxDelay,
		Connect: func(*testing.T) conformance.Connection {
			open := func(_ context.Context, lane string) (*pubsub.Topic, error) { return q.Topic(lane), nil }
			return local{
				pubsubq.NewSender(open, &pubsubq.SenderOptions{MaxDelay: memqueue.MaxDelay, Delay: memqueue.DelayHook}),
				func(lane string) *pubsubq.Receiver {
					return pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
						return q.Subscription(lane, nil), nil
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
	lane := lanes()
	conformance.Queue(t, conformance.QueueHarness{
		FanOut: true, SubscribeFirst: true,
		Lane: func(t *testing.T) string {
			name := lane(t)
			topics[name] = mempubsub.NewTopic()
			return name
		},
		Connect: func(*testing.T) conformance.Connection {
			return local{
				pubsubq.NewSender(func(_ context.Context, lane string) (*pubsub.Topic, error) {
					return topics[lane], nil
				}, nil),
				func(lane string) *pubsubq.Receiver {
					return pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
						return mempubsub.NewSubscription(topics[lane], time.Minute), nil
					}, nil)
				},
			}
		},
	})
}
