package memqueue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
)

func TestReceiversCompete(t *testing.T) {
	onEach(t, nil, func(t *testing.T, on ends) {
		var mu sync.Mutex
		got := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 4 {
			r := on.receive(nil)
			wg.Go(func() {
				defer r.Shutdown(context.WithoutCancel(t.Context()))
				for {
					ds, err := r.Receive(ctx, 3)
					if err != nil {
						return
					}
					mu.Lock()
					for _, d := range ds {
						got[string(d.Body)]++
					}
					mu.Unlock()
					ackAll(ds)
				}
			})
		}
		for i := range 500 {
			on.sendIDs(t, 0, fmt.Sprint(i))
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		if len(got) != 500 {
			t.Errorf("%d messages received, want 500", len(got))
		}
		for body, n := range got {
			if n != 1 {
				t.Errorf("%s was received %d times, want once", body, n)
			}
		}
	})
}

// A receiver whose context ends when it is handed a message must not lose it.
func TestGivingUpLosesNothing(t *testing.T) {
	q := memqueue.New(nil)
	defer q.Close()
	s := pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q})
	r := pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: "q"})
	const n = 2000
	got := 0
	for i := range n {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(cancel)
		wg.Go(func() { _ = s.Send(t.Context(), "q", 0, pubsubq.Message{ID: fmt.Sprint(i)}) })
		if ds, err := r.Receive(ctx, 10); err == nil {
			got += len(ds)
			ackAll(ds)
		}
		wg.Wait()
	}
	if left := q.Len("q"); got+left != n || q.InFlight("q") != 0 {
		t.Errorf("%d received and %d waiting, want %d in sum; %d in flight, want 0", got, left, n, q.InFlight("q"))
	}
}

// All at once, for the race detector: each message is acked in the end.
func TestManyAtOnce(t *testing.T) {
	q := memqueue.New(nil)
	defer q.Close()
	s := pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q})
	const senders, each = 4, 2000
	var all sync.WaitGroup
	all.Add(senders * each)
	for i := range senders {
		go func() {
			for j := range each {
				delay := time.Duration(j%3) * time.Microsecond
				if err := s.Send(t.Context(), "q", delay, pubsubq.Message{ID: fmt.Sprintf("%d-%d", i, j)}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	ctx, cancel := context.WithCancel(t.Context())
	var receivers sync.WaitGroup
	for i := range 4 {
		receivers.Go(func() {
			r := pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: "q"})
			defer r.Shutdown(t.Context())
			for n := 0; ; n++ {
				ds, err := r.Receive(ctx, 1+i*5)
				if err != nil {
					return
				}
				for k, d := range ds {
					if (n+k)%7 == 0 {
						d.Nack()
					} else {
						d.Ack()
						all.Done()
					}
				}
			}
		})
	}
	all.Wait()
	cancel()
	receivers.Wait()
	if q.Len("q")+q.InFlight("q") != 0 {
		t.Errorf("%d wait, %d in flight, want none", q.Len("q"), q.InFlight("q"))
	}
}

func TestABacklog(t *testing.T) {
	q := memqueue.New(nil)
	defer q.Close()
	const n = 100_000
	fill(t, q, n)
	fill(t, q, n) // the same hints again
	if q.Len("q") != n {
		t.Errorf("%d wait, want each hint once", q.Len("q"))
	}
	r := pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: "q"})
	for got := 0; got < n; {
		ds := next(t, r, 1000)
		if want := fmt.Sprintf(`{"id":"job-%026d"}`, got); string(ds[0].Body) != want {
			t.Fatalf("received %s, want %s", ds[0].Body, want)
		}
		got += len(ds)
		ackAll(ds)
	}
	if q.Len("q")+q.InFlight("q") != 0 {
		t.Errorf("%d wait, %d in flight, want none", q.Len("q"), q.InFlight("q"))
	}
}

// fill sends n different hints.
func fill(t testing.TB, q *memqueue.Queue, n int) {
	s := pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q})
	msgs := make([]pubsubq.Message, 0, 1000)
	for i := range n {
		msgs = append(msgs, pubsubq.Message{ID: fmt.Sprintf("job-%026d", i)})
		if len(msgs) == cap(msgs) || i == n-1 {
			if err := s.Send(t.Context(), "q", 0, msgs...); err != nil {
				t.Fatal(err)
			}
			msgs = msgs[:0]
		}
	}
}
