package memqueue_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"gocloud.dev/pubsub"
)

// paths are the two ways through the queue.
func paths(q *memqueue.Queue, prefetch int) map[string]func() (*pubsubq.Sender, *pubsubq.Receiver) {
	return map[string]func() (*pubsubq.Sender, *pubsubq.Receiver){
		"direct": func() (*pubsubq.Sender, *pubsubq.Receiver) {
			return pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q}),
				pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: "q"})
		},
		"portable": func() (*pubsubq.Sender, *pubsubq.Receiver) {
			return pubsubq.NewSender(func(_ context.Context, name string) (*pubsub.Topic, error) {
					return q.Topic(name), nil
				}, nil), pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
					return q.Subscription("q", &memqueue.Options{Prefetch: prefetch}), nil
				}, nil)
		},
	}
}

// BenchmarkThroughput sends from several goroutines, each in batches of the given size, and acks in
// one receiver.
func BenchmarkThroughput(b *testing.B) {
	for _, path := range []string{"direct", "portable"} {
		for _, c := range []struct{ senders, batch, prefetch int }{
			{1, 1, 1}, {100, 1, 1}, {100, 1, 100}, {4, 100, 1}, {4, 100, 100},
		} {
			b.Run(fmt.Sprintf("%s/senders=%d/batch=%d/prefetch=%d", path, c.senders, c.batch, c.prefetch), func(b *testing.B) {
				q := memqueue.New(nil)
				defer q.Close()
				send, recv := paths(q, c.prefetch)[path]()
				throughput(b, send, recv, c.senders, c.batch)
			})
		}
	}
}

func throughput(b *testing.B, send *pubsubq.Sender, recv *pubsubq.Receiver, senders, batch int) {
	ctx := b.Context()
	msgs := make([]pubsubq.Message, b.N)
	for i := range msgs {
		msgs[i].ID = fmt.Sprintf("job-018f3c9a-7b1e-7c3d-9f00-%012d", i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	share := (b.N + senders - 1) / senders
	for mine := range slices.Chunk(msgs, max(share, 1)) {
		wg.Go(func() {
			for some := range slices.Chunk(mine, batch) {
				if err := send.Send(ctx, "q", 0, some...); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for got := 0; got < b.N; {
		ds, err := recv.Receive(ctx, 64)
		if err != nil {
			b.Fatal(err)
		}
		for _, d := range ds {
			d.Ack()
		}
		got += len(ds)
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	_ = send.Shutdown(ctx)
	_ = recv.Shutdown(ctx)
}

// BenchmarkIdleLatency measures from Send to Receive on a queue where the receiver waits.
func BenchmarkIdleLatency(b *testing.B) {
	for _, path := range []string{"direct", "portable"} {
		b.Run(path, func(b *testing.B) {
			q := memqueue.New(nil)
			defer q.Close()
			send, recv := paths(q, 1)[path]()
			ctx := b.Context()
			arrived := make(chan time.Time)
			go func() {
				for {
					ds, err := recv.Receive(ctx, 64)
					if err != nil {
						return
					}
					arrived <- time.Now()
					ds[0].Ack()
				}
			}()
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				start := time.Now()
				if err := send.Send(ctx, "q", 0, pubsubq.Message{ID: "j"}); err != nil {
					b.Fatal(err)
				}
				took = append(took, (<-arrived).Sub(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}

// BenchmarkBacklog measures the memory of a million hints that wait.
func BenchmarkBacklog(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		q := memqueue.New(nil)
		fill(b, q, n)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/waiting")
		q.Close()
	}
}
