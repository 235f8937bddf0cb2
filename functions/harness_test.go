package functions_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
	"github.com/piecework/piecework/tests/printed"
)

// order is the arguments and result of the tests' jobs.
type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

// sent is a message that the runtime sent.
type sent struct {
	queue string
	delay time.Duration
	msg   pubsubq.Message
}

// desk is a runtime over memory, with a clock of its own, a queue that the test takes messages
// from, and a store that fails when the test wants it to.
type desk struct {
	*functions.Runtime
	inner  *docstore.Collection
	bucket *blob.Bucket
	blobs  *blobout.Store
	store  *store.Store
	log    printed.Text

	mu      sync.Mutex
	now     time.Time
	queue   []sent
	sendErr error
	actions func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError
}

// setup is what a test may want otherwise.
type setup struct {
	config functions.Config
	timing store.Timing
	real   bool // the clock is time.Now: virtual time in a bubble of testing/synctest
}

func newDesk(t *testing.T, reg *functions.Registry, options ...func(*setup)) *desk {
	t.Helper()
	d := &desk{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), bucket: memblob.OpenBucket(nil)}
	s := setup{config: functions.Config{Now: d.clock, Worker: "test"}}
	for _, o := range options {
		o(&s)
	}
	if s.real {
		s.config.Now = time.Now
	}
	s.config.Log = slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	inner, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		t.Fatal(err)
	}
	d.inner = inner
	coll := relay.New(inner, relay.Hooks{Actions: d.pass})
	d.store, err = store.New(coll, &store.Options{Timing: s.timing, Pause: func(ctx context.Context, _ time.Duration) error {
		return context.Cause(ctx)
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.blobs = blobout.New(d.bucket, nil)
	d.Runtime, err = functions.New(reg, functions.Backends{Store: d.store, Queue: d, Blobs: d.blobs}, s.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.Close()
		_ = d.bucket.Close()
		_ = inner.Close()
	})
	return d
}

// overBucket returns a runtime over the desk's store and queue and another bucket.
func (d *desk) overBucket(t *testing.T, bucket *blob.Bucket) *functions.Runtime {
	t.Helper()
	t.Cleanup(func() { _ = bucket.Close() }) // after the runtime
	return d.another(t, d.Registry(), blobout.New(bucket, nil))
}

// beside returns the runtime of another process over the desk's store, queue and bucket.
func (d *desk) beside(t *testing.T, reg *functions.Registry) *functions.Runtime {
	t.Helper()
	return d.another(t, reg, d.blobs)
}

// another returns a runtime over the desk's store and queue.
func (d *desk) another(t *testing.T, reg *functions.Registry, blobs *blobout.Store) *functions.Runtime {
	t.Helper()
	rt, err := functions.New(reg, functions.Backends{Store: d.store, Queue: d, Blobs: blobs}, d.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return rt
}

// logged reports whether a line of the log has all the texts.
func (d *desk) logged(texts ...string) bool { return d.log.HasLine(texts...) }

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) advance(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

// pass is where the test's faults stand.
func (d *desk) pass(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
	d.mu.Lock()
	actions := d.actions
	d.mu.Unlock()
	if actions == nil {
		return next(ctx, acts)
	}
	return actions(ctx, acts, next)
}

// storeFails makes the store answer nothing; storeWorks ends that.
func (d *desk) storeFails() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.actions = func(context.Context, []*driver.Action, relay.Run) driver.ActionListError {
		return driver.ActionListError{{Index: -1, Err: errors.New("no route to host")}}
	}
}

func (d *desk) storeWorks() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.actions = nil
}

func (d *desk) Send(_ context.Context, queue string, delay time.Duration, msgs ...pubsubq.Message) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sendErr != nil {
		return d.sendErr
	}
	for _, m := range msgs {
		d.queue = append(d.queue, sent{queue, delay, m})
	}
	return nil
}

func (d *desk) MaxDelay(string) time.Duration { return 0 }

// take takes the messages that were sent.
func (d *desk) take() []sent {
	d.mu.Lock()
	defer d.mu.Unlock()
	queue := d.queue
	d.queue = nil
	return queue
}

// drain executes what is in the queue until it is empty, and returns the outcomes.
func (d *desk) drain(t *testing.T) []functions.Outcome {
	t.Helper()
	var outs []functions.Outcome
	for {
		msgs := d.take()
		if len(msgs) == 0 {
			return outs
		}
		for _, m := range msgs {
			outs = append(outs, d.Execute(t.Context(), m.msg))
		}
	}
}

func (d *desk) sweep(t *testing.T) functions.SweepResult {
	t.Helper()
	r, err := d.Sweep(t.Context(), functions.SweepRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// submit submits a job that must be accepted.
func (d *desk) submit(t *testing.T, kind string, args any, opts ...functions.SubmitOption) string {
	t.Helper()
	r, err := d.Client().Submit(t.Context(), kind, args, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// once submits a job, lets it run until nothing is queued, and returns it.
func (d *desk) once(t *testing.T, kind string, args any, opts ...functions.SubmitOption) functions.Info {
	t.Helper()
	id := d.submit(t, kind, args, opts...)
	d.drain(t)
	return d.get(t, id)
}

// until lets time pass and sweeps until the job has ended.
func (d *desk) until(t *testing.T, id string) functions.Info {
	t.Helper()
	for range 200 {
		d.drain(t)
		if i := d.get(t, id); i.Done() {
			return i
		}
		d.advance(time.Minute)
		d.sweep(t)
	}
	t.Fatalf("it does not end: %+v", d.get(t, id))
	return functions.Info{}
}

func (d *desk) get(t *testing.T, id string) functions.Info {
	t.Helper()
	i, err := d.Client().Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// output reads an output of a job.
func (d *desk) output(t *testing.T, id, name string) string {
	t.Helper()
	r, _, err := d.Client().OpenOutput(t.Context(), id, name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files lists the keys of all blobs.
func (d *desk) files(t *testing.T) []string {
	t.Helper()
	var keys []string
	for it := d.bucket.List(nil); ; {
		o, err := it.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return keys
		}
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
}

// handle makes a registry with one kind, "shop.order".
func handle(
	fn func(ctx context.Context, job *functions.Job[order]) (order, error), opts ...functions.KindOption,
) *functions.Registry {
	reg := functions.NewRegistry()
	functions.Handle(reg, "shop.order", fn, opts...)
	return reg
}

// failing is a handler that fails.
func failing(context.Context, *functions.Job[order]) (order, error) { return order{}, errors.New("no") }

// echoing is a handler that returns its arguments.
func echoing(_ context.Context, job *functions.Job[order]) (order, error) { return job.Args, nil }

// wantErr fails the test unless err is want and its text has all the parts.
func wantErr(t *testing.T, err, want error, parts ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
}

// resultOf decodes the result of a job of any kind.
func resultOf[R any](i functions.Info) (R, error) { return functions.Kind[any, R](i.Kind).Result(i) }
