package worker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// broker is a queue that names its messages and counts their deliveries.
type broker struct {
	mu    sync.Mutex
	next  int
	ready []brokerMessage
	bell  chan struct{}
}

type brokerMessage struct {
	raw        pubsubq.Raw
	id         string
	deliveries int
}

func newBroker() *broker { return &broker{bell: make(chan struct{}, 1)} }

func (b *broker) put(m brokerMessage) {
	b.mu.Lock()
	b.ready = append(b.ready, m)
	b.mu.Unlock()
	b.ring()
}

func (b *broker) ring() {
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

func (b *broker) SendDirect(_ context.Context, _ string, _ time.Duration, msgs []pubsubq.Raw) error {
	for _, raw := range msgs {
		b.mu.Lock()
		b.next++
		id := fmt.Sprint("m", b.next)
		b.mu.Unlock()
		b.put(brokerMessage{raw: raw, id: id})
	}
	return nil
}

func (b *broker) SubscribeDirect(string) (pubsubq.DirectSubscription, error) { return b, nil }

func (b *broker) ReceiveDirect(ctx context.Context, _ int) ([]*pubsubq.Delivery, error) {
	for {
		b.mu.Lock()
		if len(b.ready) > 0 {
			m := b.ready[0]
			b.ready = b.ready[1:]
			more := len(b.ready) > 0
			b.mu.Unlock()
			if more {
				b.ring()
			}
			m.deliveries++
			d := pubsubq.NewDelivery(m.raw, m.id, func(ack bool) {
				if !ack {
					b.put(m)
				}
			})
			d.Origin = pubsubq.Origin{ID: m.id, Deliveries: m.deliveries}
			return []*pubsubq.Delivery{d}, nil
		}
		b.mu.Unlock()
		select {
		case <-b.bell:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (b *broker) Close() error { return nil }

// While a new version is rolled out, its messages also reach workers of the old one. These give
// them back and go on with other messages meanwhile, so that the new one has them in the end; what
// no version knows is parked.
func TestMessagesForANewVersionWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := newWorld(t), newBroker()
		start := func(kinds ...string) (rt *functions.Runtime, stop func()) {
			reg := functions.NewRegistry()
			for _, k := range kinds {
				functions.Handle(reg, k, func(context.Context, *functions.Job[any]) (int, error) { return 0, nil })
			}
			rt = w.runtime(reg, functions.Config{})
			wk, err := worker.New(rt, func(queue string) *pubsubq.Receiver {
				if queue == functions.SubmitQueue {
					return pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: b, Queue: queue})
				}
				return w.receiver(queue)
			}, &worker.Options{Submit: true})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- wk.Run(ctx) }()
			return rt, func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		old, stopOld := start("old")
		send := func(body string) {
			if err := b.SendDirect(t.Context(), "", 0, []pubsubq.Raw{{Body: []byte(body)}}); err != nil {
				t.Fatal(err)
			}
		}
		send(`{"kind":"new"}`)
		for range 20 {
			send(`{"kind":"strange"}`)
		}
		send(`{"kind":"old"}`)
		time.Sleep(10 * time.Millisecond) // virtual
		if n := old.Stats().Succeeded.Load(); n != 1 {
			t.Fatalf("%d succeeded: the worker waits for what it does not know", n)
		}
		fresh, stopFresh := start("old", "new")
		defer stopFresh()
		stopOld()
		time.Sleep(5 * time.Minute)
		list, err := fresh.Client().List(t.Context(), functions.ListFilter{Kind: "new"})
		if err != nil || len(list.Jobs) != 1 || list.Jobs[0].State != store.Succeeded || list.Jobs[0].Key != "message/m1" {
			t.Errorf("list = %+v, error = %v; want no error, 1 list.Jobs, list.Jobs[0].State = Succeeded and list.Jobs[0].Key = \"message/m1\"",
				list, err)
		}
		parked, _, err := fresh.Client().Parked(t.Context(), 100, "")
		if err != nil || len(parked) != 20 || string(parked[0].Body) != `{"kind":"strange"}` {
			t.Errorf("parked messages = %+v, error = %v; want no error, 20 parked and string(parked[0].Body) = '{\"kind\":\"strange\"}'", parked, err)
		}
	})
}
