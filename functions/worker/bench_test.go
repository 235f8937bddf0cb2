package worker_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/sqldocstore"
)

// bench is a worker over SQLite, real but for its queue, which is in this process.
type bench struct {
	rt      *functions.Runtime
	ended   chan string
	started chan time.Time
}

func openSQL(b *testing.B, url string) *docstore.Collection {
	b.Helper()
	coll, err := sqldocstore.Open(b.Context(), url, sql.Options())
	if err != nil {
		b.Fatal(err)
	}
	return coll
}

func newBench(b *testing.B, url string, opts worker.Options) *bench {
	b.Helper()
	coll := openSQL(b, url)
	st, err := store.New(coll, nil)
	if err != nil {
		b.Fatal(err)
	}
	q := memqueue.New(nil)
	bucket := memblob.OpenBucket(nil)
	bb := &bench{ended: make(chan string, 1<<20), started: make(chan time.Time, 16)}
	reg := functions.NewRegistry()
	functions.Handle(reg, "plain", func(_ context.Context, job *functions.Job[int]) (int, error) {
		return job.Args + 1, nil
	})
	functions.Handle(reg, "start", func(_ context.Context, job *functions.Job[int]) (int, error) {
		bb.started <- time.Now()
		return job.Args + 1, nil
	})
	bb.rt, err = functions.New(reg, functions.Backends{
		Store: st, Queue: pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q}), Blobs: blobout.New(bucket, nil),
	}, functions.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	opts.OnOutcome = func(_ string, out functions.Outcome) { bb.ended <- out.JobID }
	w, err := worker.New(bb.rt, func(queue string) *pubsubq.Receiver {
		return pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: queue})
	}, &opts)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := w.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() {
		cancel()
		done.Wait()
		_ = bb.rt.Close()
		_ = q.Close()
		_ = bucket.Close()
		_ = coll.Close()
	})
	return bb
}

func places(b *testing.B) map[string]string {
	return map[string]string{"file": "sqlite://" + filepath.Join(b.TempDir(), "jobs.db"), "memory": "sqlite::memory:"}
}

// BenchmarkJobs is the whole way of a plain job: submitted in bulk, claimed, run, finished.
func BenchmarkJobs(b *testing.B) {
	for name, url := range places(b) {
		b.Run(name, func(b *testing.B) {
			bb := newBench(b, url, worker.Options{})
			subs := make([]functions.Submission, b.N)
			for i := range subs {
				subs[i] = functions.Submission{Kind: "plain", Args: i}
			}
			b.ReportAllocs()
			b.ResetTimer()
			if _, err := bb.rt.Client().SubmitMany(b.Context(), subs); err != nil {
				b.Fatal(err)
			}
			for range b.N {
				<-bb.ended
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// BenchmarkStart is how long a lone job takes from the call of Submit to its handler.
func BenchmarkStart(b *testing.B) {
	for name, url := range places(b) {
		b.Run(name, func(b *testing.B) {
			bb := newBench(b, url, worker.Options{})
			var total time.Duration
			for b.Loop() {
				begin := time.Now()
				if _, err := bb.rt.Client().Submit(b.Context(), "start", 1); err != nil {
					b.Fatal(err)
				}
				total += (<-bb.started).Sub(begin)
				<-bb.ended
			}
			b.ReportMetric(float64(total.Microseconds())/float64(b.N), "µs/start")
		})
	}
}
