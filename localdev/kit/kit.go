// Package kit is the whole system for tests: in memory, on one goroutine and on a clock of its own.
//
//	k := kit.New(t, jobs)
//	id := k.Submit("banking.statement", args)
//	k.Wait(id) // moves the clock through retries and schedules
//	k.RequireSucceeded(id)
//
// [Torture] runs handlers under duplicate deliveries, lost leases and a crash at each of their
// writes, and reports what differs from an undisturbed run.
//
// kit.go makes a kit, options.go has its options, run.go moves its clock, assert.go looks at its
// jobs; desk.go has the store, queue, blobs and clock behind it; torture.go has Torture, and
// ending.go compares its runs.
package kit

import (
	"context"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// Kit is the whole system for a test. Jobs run only within a call of Drain, Advance or Wait, on the
// kit's own clock, which only these calls move. A test of a retry after an hour takes microseconds,
// and runs the same each time.
//
// A handler runs on a goroutine of its own and in real time, so it must not wait for the clock: the
// test fails if it takes longer than its timeout. For handlers that sleep, or to test timeouts, use
// [WallClock] in a bubble of testing/synctest.
type Kit struct {
	t     testing.TB
	opts  options
	desk  *desk
	rt    *functions.Runtime
	store *store.Store
	runs  map[string]int // by job
	order map[string]int // of submission: on the kit's clock many jobs are created at one moment
}

// New returns a kit for a test. A registry with mistakes fails the test.
func New(t testing.TB, jobs *functions.Registry, opts ...Option) *Kit {
	t.Helper()
	k := &Kit{t: t, opts: newOptions(opts), runs: map[string]int{}, order: map[string]int{}}
	var err error
	if k.desk, err = newDesk(k.opts); err != nil {
		t.Fatalf("kit: %v", err)
	}
	if k.rt, k.store, err = k.desk.runtime(jobs, "kit", nil); err != nil {
		t.Fatalf("kit: %v", err)
	}
	t.Cleanup(func() {
		if err := k.rt.Close(); err != nil {
			t.Errorf("kit: close resources: %v", err)
		}
		k.desk.close()
	})
	return k
}

// Client returns a client. Its Wait never returns, because nothing runs meanwhile: use the kit's.
func (k *Kit) Client() *functions.Client { return k.rt.Client() }

// Runtime returns the runtime, for tests that call its verbs directly.
func (k *Kit) Runtime() *functions.Runtime { return k.rt }

// Records returns the collection of the records, without the hooks of [Hooks].
func (k *Kit) Records() *docstore.Collection { return k.desk.coll }

// Bucket returns the bucket of the outputs.
func (k *Kit) Bucket() *blob.Bucket { return k.desk.bucket }

// Blobs returns the store of the outputs.
func (k *Kit) Blobs() *blobout.Store { return k.desk.blobs(nil) }

// Now returns the time of the kit's clock.
func (k *Kit) Now() time.Time { return k.desk.now() }

// Messages takes all messages out of the queue, also delayed ones, in the order in which they were
// sent.
func (k *Kit) Messages() []pubsubq.Message { return k.desk.takeAll() }

// Submit submits a job and returns its id. It does not run it yet.
func (k *Kit) Submit(kind string, args any, opts ...functions.SubmitOption) string {
	k.t.Helper()
	r, err := k.rt.Client().Submit(k.context(), kind, args, opts...)
	if err != nil {
		k.t.Fatalf("submit a job of kind %s: %v", kind, err)
	}
	k.order[r.ID] = len(k.order)
	return r.ID
}

// Message submits by message: our JSON form, a CloudEvent, or whatever a trigger takes. It returns the job's id, or "" if the
// message was parked; Client.Parked lists it then.
func (k *Kit) Message(body []byte, metadata map[string]string) string {
	k.t.Helper()
	out := k.rt.Submit(k.context(), body, metadata, "")
	if out.Verdict == functions.Retry {
		k.t.Fatalf("submit by message: %v", out.Err)
	}
	return out.JobID
}

// context is the test's context without its end, so that it works in cleanups too.
func (k *Kit) context() context.Context { return context.WithoutCancel(k.t.Context()) }
