package localdev

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// Kit is the whole system for a test, in memory and on one goroutine: nothing happens but within a call of Drain,
// Advance or Wait, and on the kit's own clock, which only these move. So a test of a retry after an hour takes
// microseconds, and runs the same each time.
//
// A handler runs on a goroutine of its own and in real time, so it must not wait for the clock. For handlers that
// sleep, or to test timeouts, make the kit in a bubble of testing/synctest, with [InBubble].
type Kit struct {
	t     testing.TB
	opts  kitOptions
	desk  *desk
	rt    *functions.Runtime
	store *store.Store
	runs  map[string]int // of each job
	order map[string]int // in which jobs were submitted to the kit: on its clock, many are created at one moment
}

// KitOption is an option of New and Torture.
type KitOption func(*kitOptions)

type kitOptions struct {
	start  time.Time
	bubble bool
	log    *slog.Logger
	seed   uint64
	config functions.Config
	points int
	only   string
}

// StartAt is what the kit's clock shows at first. Default: 1 January 2026, 12:00 UTC.
func StartAt(t time.Time) KitOption { return func(o *kitOptions) { o.start = t } }

// InBubble says that the test runs in a bubble of testing/synctest: the kit's clock is then the bubble's, handlers may
// sleep, and time limits are kept.
func InBubble() KitOption { return func(o *kitOptions) { o.bubble = true } }

// KitLog lets the log go somewhere. Default: nowhere.
func KitLog(log *slog.Logger) KitOption { return func(o *kitOptions) { o.log = log } }

// Seed makes ids and jitter other than those of seed 1.
func Seed(seed uint64) KitOption { return func(o *kitOptions) { o.seed = seed } }

// KitConfig configures the runtime; its clock, randomness and log are the kit's all the same.
func KitConfig(cfg functions.Config) KitOption { return func(o *kitOptions) { o.config = cfg } }

func newKitOptions(opts []KitOption) kitOptions {
	o := kitOptions{
		start: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), log: slog.New(slog.DiscardHandler), seed: 1, points: defaultPoints,
	}
	for _, f := range opts {
		f(&o)
	}
	return o
}

// New returns a kit for a test. A registry with mistakes fails the test.
func New(t testing.TB, jobs *functions.Registry, opts ...KitOption) *Kit {
	t.Helper()
	k := &Kit{t: t, opts: newKitOptions(opts), runs: map[string]int{}, order: map[string]int{}}
	var err error
	if k.desk, err = newDesk(k.opts); err != nil {
		t.Fatalf("localdev: %v", err)
	}
	if k.rt, k.store, err = k.desk.runtime(jobs, "kit", nil); err != nil {
		t.Fatalf("localdev: %v", err)
	}
	t.Cleanup(func() {
		if err := k.rt.Close(); err != nil {
			t.Errorf("localdev: close resources: %v", err)
		}
		k.desk.close()
	})
	return k
}

// Client returns a client, for what the kit has no method for. Its Wait would wait for ever: use the kit's.
func (k *Kit) Client() *functions.Client { return k.rt.Client() }

// Runtime returns the runtime, whose verbs may be called directly.
func (k *Kit) Runtime() *functions.Runtime { return k.rt }

// Blobs returns the store of the outputs.
func (k *Kit) Blobs() *blobout.Store { return k.desk.blobs(nil) }

// Now is what the kit's clock shows.
func (k *Kit) Now() time.Time { return k.desk.now() }

// Submit submits a job and returns its id. It does not run it yet.
func (k *Kit) Submit(kind string, args any, opts ...functions.SubmitOption) string {
	k.t.Helper()
	r, err := k.rt.Client().Submit(k.context(), kind, args, opts...)
	if err != nil {
		k.t.Fatalf("%v", err)
	}
	k.order[r.ID] = len(k.order)
	return r.ID
}

// Message submits by message: our JSON form or a CloudEvent. It returns the job's id, or "" if the message was parked,
// which Client.Parked shows.
func (k *Kit) Message(body []byte, metadata map[string]string) string {
	k.t.Helper()
	out := k.rt.Submit(k.context(), body, metadata, "")
	if out.Verdict == functions.Retry {
		k.t.Fatalf("submit by message: %v", out.Err)
	}
	return out.JobID
}

// context is the test's, or one that still works in its cleanups.
func (k *Kit) context() context.Context { return context.WithoutCancel(k.t.Context()) }
