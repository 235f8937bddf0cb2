package wire_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/conformance"
	"github.com/piecework/piecework/tests/servers"
	"github.com/piecework/piecework/tests/servers/wire"
)

// backend is a store behind a proxy.
type backend struct {
	*wire.Proxy

	open   conformance.OpenStore
	chance atomic.Int64 // of a hundred requests, how many are refused
}

func (b *backend) options() wire.Options {
	return wire.Options{Refuse: func(string) bool { return rand.Int64N(100) < b.chance.Load() }}
}

// backends are the stores that throttle.
var backends = map[string]func(t *testing.T) *backend{
	"DynamoDB": func(t *testing.T) *backend {
		servers.FakeAWS(t)
		b := &backend{}
		b.Proxy = wire.DynamoDB(t, servers.DynamoDB(t), b.options())
		b.open = conformance.NewStore(t, drivers.New(aws.Register), "dynamodb://jobs?region=us-east-1&endpoint="+b.URL)
		return b
	},
	"Cosmos DB's MongoDB": func(t *testing.T) *backend {
		b := &backend{}
		b.Proxy = wire.MongoDB(t, servers.MongoDB(t), b.options())
		b.open = conformance.NewStore(t, drivers.New(mongo.Register), b.URL+"/piecework?cosmos=ru")
		return b
	},
	"Firestore": func(t *testing.T) *backend {
		b := &backend{}
		b.Proxy = wire.Firestore(t, servers.Firestore(t), b.options())
		t.Setenv("FIRESTORE_EMULATOR_HOST", b.URL)
		b.open = conformance.StoreOf(drivers.New(gcp.Register), "firestore://piecework-test/jobs")
		return b
	},
}

// doc is a document as package store has them.
type doc struct {
	ID    string `docstore:"id"`
	Rev   any    `docstore:"rev"`
	DuePK string `docstore:"due_pk,omitempty"`
	DueSK string `docstore:"due_sk,omitempty"`
}

// What the libraries make of the services' refusals is what package fault plays: an error that says neither that a write
// lost a race nor that a document is missing, so that package store waits and tries again.
func TestRefusalsComeThroughAsSuch(t *testing.T) {
	for name, start := range backends {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			coll := b.open(t)
			stored := &doc{ID: "stored", DuePK: "due#1", DueSK: "1#stored"}
			if err := coll.Create(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			b.chance.Store(100)
			calls := map[string]func(ctx context.Context) error{
				"create": func(ctx context.Context) error { return coll.Create(ctx, &doc{ID: "a"}) },
				"update": func(ctx context.Context) error {
					fresh := *stored
					return coll.Update(ctx, &fresh, docstore.Mods{"due_sk": "2#stored"})
				},
				"delete": func(ctx context.Context) error { return coll.Delete(ctx, &doc{ID: "stored", Rev: stored.Rev}) },
				"get":    func(ctx context.Context) error { return coll.Get(ctx, &doc{ID: "stored"}, "due_sk") },
				"create list": func(ctx context.Context) error {
					return coll.Actions().Create(&doc{ID: "a"}).Create(&doc{ID: "b"}).Do(ctx)
				},
				"get list": func(ctx context.Context) error {
					return coll.Actions().Get(&doc{ID: "stored"}, "due_sk").Get(&doc{ID: "b"}, "due_sk").Do(ctx)
				},
				"query": func(ctx context.Context) error {
					it := coll.Query().Where("due_pk", "=", "due#1").Where("due_sk", "<", "9").
						OrderBy("due_sk", docstore.Ascending).Limit(5).Get(ctx, "id", "due_sk")
					defer it.Stop()
					return it.Next(ctx, &doc{})
				},
			}
			for what, call := range calls {
				for range 6 { // each way to say it
					err := call(t.Context())
					if code := gcerrors.Code(err); code != gcerrors.ResourceExhausted && code != gcerrors.Unknown {
						t.Errorf("%s gives code %v: %v", what, code, err)
					}
				}
			}
			b.chance.Store(0)
			if err := coll.Get(t.Context(), &doc{ID: "a"}); gcerrors.Code(err) != gcerrors.NotFound {
				t.Errorf("what was refused is there: %v", err)
			}
			if err := coll.Get(t.Context(), &doc{ID: "stored"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// Jobs go through retries, checkpoints and sweeps on a store that refuses half of the requests: all succeed in the
// attempts that they need, and for each thing that is done the store is asked a few times at most.
func TestJobsOutlastRefusals(t *testing.T) {
	for name, start := range backends {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			s, err := store.New(b.open(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			queue, bucket := memqueue.New(nil), memblob.OpenBucket(nil)
			reg := functions.NewRegistry()
			functions.Handle(reg, "twice", func(ctx context.Context, job *functions.Job[int]) (int, error) {
				if err := job.Checkpoint(ctx, job.Args); err != nil {
					return 0, err
				}
				if job.Attempt == 1 {
					return 0, functions.RetryAfter(0, errors.New("once more"))
				}
				return job.Args, nil
			}, functions.MaxAttempts(2))
			rt, err := functions.New(reg, functions.Backends{
				Store: s, Blobs: blobout.New(bucket, nil), Queue: pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: queue}),
			}, functions.Config{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			receiver := func(name string) *pubsubq.Receiver {
				return pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: queue, Queue: name})
			}
			w, err := worker.New(rt, receiver, &worker.Options{Concurrency: 30, SweepEvery: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			b.Take()
			before := b.Refused()
			b.chance.Store(50)
			done := make(chan error, 1)
			go func() { done <- w.Run(ctx) }()
			subs := make([]functions.Submission, 30)
			for i := range subs {
				subs[i] = functions.Submission{Kind: "twice", Args: i, Options: []functions.SubmitOption{functions.Key(fmt.Sprint(i))}}
			}
			receipts, err := rt.Client().SubmitMany(ctx, subs)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range receipts {
				if r.Err != nil || r.Existing {
					t.Errorf("submission %d: %+v", i, r)
					continue
				}
				info, err := rt.Client().Wait(ctx, r.ID)
				if err != nil || info.State != store.Succeeded || info.Attempt != 2 {
					t.Errorf("job %d: %v, %s after %d attempts: %s", i, err, info.State, info.Attempt, info.Error)
				}
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			refused, counts := b.Refused()-before, b.Take()
			t.Logf("%d requests were refused; done: %v", refused, counts)
			if calls := counts.All().Calls; refused < 100 || refused > 4*calls {
				t.Errorf("%d requests were refused and %d done", refused, calls)
			}
			_, _, _ = rt.Close(), queue.Close(), bucket.Close()
		})
	}
}

// The answer to a read of one document may come in two parts, and the second be refused: the document is not missing.
func TestAReadThatWasCutShortIsNotAMissingDocument(t *testing.T) {
	var cut atomic.Bool
	p := wire.MongoDB(t, servers.MongoDB(t), wire.Options{Split: true, Refuse: func(op string) bool { return op == "getMore" && cut.Load() }})
	coll := conformance.NewStore(t, drivers.New(mongo.Register), p.URL+"/piecework?cosmos=ru")(t)
	if err := coll.Create(t.Context(), &doc{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := coll.Get(t.Context(), &doc{ID: "a"}); err != nil {
		t.Error(err)
	}
	if err := coll.Get(t.Context(), &doc{ID: "b"}); gcerrors.Code(err) != gcerrors.NotFound {
		t.Error(err)
	}
	cut.Store(true)
	if err := coll.Get(t.Context(), &doc{ID: "a"}); gcerrors.Code(err) != gcerrors.Unknown {
		t.Errorf("error %v", err)
	}
}

// Cosmos DB says how long to wait, and is not asked before, whatever it was that it refused.
func TestCosmosIsNotAskedBeforeItSays(t *testing.T) {
	const told = 1200 * time.Millisecond
	var left atomic.Int64 // refusals to come
	p := wire.MongoDB(t, servers.MongoDB(t), wire.Options{RetryAfter: told, Refuse: func(string) bool { return left.Add(-1) >= 0 }})
	var pauses []time.Duration
	s, err := store.New(conformance.NewStore(t, drivers.New(mongo.Register), p.URL+"/piecework?cosmos=ru")(t), &store.Options{
		Pause: func(_ context.Context, d time.Duration) error {
			pauses = append(pauses, d)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	now := store.Time(time.Now().UnixMilli())
	fresh := func(id string) store.Job { return s.NewJob(store.Job{ID: id, Kind: "a.b"}, false, now) }
	steps := []struct {
		verb string
		call func(ctx context.Context) error
	}{
		{"create", func(ctx context.Context) error { _, err := s.Create(ctx, fresh("job-1")); return err }},
		{"create many", func(ctx context.Context) error {
			for _, r := range s.CreateMany(ctx, []store.Job{fresh("job-2"), fresh("job-3"), fresh("job-4")}) {
				err = errors.Join(err, r.Err)
			}
			return err
		}},
		{"get", func(ctx context.Context) error { _, err := s.Get(ctx, "job-1"); return err }},
		{"claim", func(ctx context.Context) error {
			_, err := s.Claim(ctx, "job-1", store.Claim{Token: "t", Now: now})
			return err
		}},
		{"due", func(ctx context.Context) error {
			_, err := s.Due(ctx, 1, now.Add(time.Hour), "", 10)
			return err
		}},
	}
	for _, step := range steps {
		pauses = nil
		left.Store(2)
		if err := step.call(t.Context()); err != nil {
			t.Errorf("step.call: got %s: %v, want no error", step.verb, err)
		}
		if len(pauses) == 0 {
			t.Errorf("%s was not refused", step.verb)
		}
		for _, d := range pauses {
			if d < told || d > 2*told {
				t.Errorf("%s: asked again after %v, told %v", step.verb, d, told)
			}
		}
	}
}

// The same for the second part of an answer, whose refusal the library tells nobody but its monitor.
func TestCosmosSaysWhenToReadTheRest(t *testing.T) {
	const told = 1200 * time.Millisecond
	var cut atomic.Bool
	p := wire.MongoDB(t, servers.MongoDB(t), wire.Options{
		Split: true, RetryAfter: told, Refuse: func(op string) bool { return op == "getMore" && cut.Load() },
	})
	coll := conformance.NewStore(t, drivers.New(mongo.Register), p.URL+"/piecework?cosmos=ru")(t)
	if err := coll.Create(t.Context(), &doc{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	cut.Store(true)
	err := coll.Get(t.Context(), &doc{ID: "a"})
	if hint, ok := errors.AsType[store.Hint](err); !ok || hint.RetryAfter() != told {
		t.Errorf("error %v", err)
	}
}
