package sqlpubsub_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/sqlpubsub"
)

// BenchmarkDirect sends transient messages, one a call from each of a hundred senders, while two receivers take them.
func BenchmarkDirect(b *testing.B) {
	for name, open := range map[string]func(testing.TB, *sqlpubsub.Options) *sqlpubsub.Queues{"sqlite": openSQLite, "postgres": openPostgres} {
		b.Run(name, func(b *testing.B) {
			q := open(b, &sqlpubsub.Options{Transient: func(string) bool { return true }})
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			var got atomic.Int64
			var receivers, senders sync.WaitGroup
			for range 2 {
				sub, err := q.SubscribeDirect("jobs")
				if err != nil {
					b.Fatal(err)
				}
				receivers.Go(func() {
					for ctx.Err() == nil {
						ds, _ := sub.ReceiveDirect(ctx, 100)
						for _, d := range ds {
							d.Ack()
						}
						if got.Add(int64(len(ds))) >= int64(b.N) {
							cancel()
						}
					}
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range 100 {
				senders.Go(func() {
					for n := i; n < b.N; n += 100 {
						if err := q.SendDirect(b.Context(), "jobs", 0, []pubsubq.Raw{{Body: []byte(`{"id":"0190d3c1-2222-7333-8444-555566667777"}`)}}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			senders.Wait()
			receivers.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
