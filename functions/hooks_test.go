package functions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

func TestMiddlewareWrapsInTheOrderItWasAdded(t *testing.T) {
	var order []string
	reg := handle(echoing)
	for _, name := range []string{"outer", "inner"} {
		reg.Use(func(ctx context.Context, job functions.Info, next func(context.Context) error) error {
			order = append(order, "into "+name+" "+job.Kind)
			err := next(ctx)
			order = append(order, "out of "+name)
			return err
		})
	}
	d := newDesk(t, reg)
	i := d.once(t, "shop.order", map[string]any{"item": "tea"})
	want := []string{"into outer shop.order", "into inner shop.order", "out of inner", "out of outer"}
	if !slices.Equal(order, want) || i.State != store.Succeeded {
		t.Errorf("order = %v, job = %+v; want order as listed and State = Succeeded", order, i)
	}
}

func TestMiddlewareMayRefuseAndMayPanic(t *testing.T) {
	reg := handle(func(context.Context, *functions.Job[order]) (order, error) {
		t.Error("the handler was called")
		return order{}, nil
	}, functions.MaxAttempts(1))
	panics := false
	reg.Use(func(context.Context, functions.Info, func(context.Context) error) error {
		if panics {
			panic("middleware")
		}
		return functions.Permanent(errors.New("closed on Sundays"))
	})
	d := newDesk(t, reg)
	if i := d.once(t, "shop.order", order{}); i.State != store.Failed || i.Error != "closed on Sundays" {
		t.Errorf("job = %+v; want State = Failed and Error = \"closed on Sundays\"", i)
	}
	panics = true
	if i := d.once(t, "shop.order", order{}); i.State != store.Failed || i.Attempts[0].Outcome != store.OutcomePanic {
		t.Errorf("job = %+v; want State = Failed and Attempts[0].Outcome = OutcomePanic", i)
	}
}

func TestEndHooksAreCalledForEachEnd(t *testing.T) {
	var ends []string
	reg := functions.NewRegistry()
	functions.Handle(reg, "a", func(_ context.Context, job *functions.Job[string]) (string, error) {
		switch job.Args {
		case "fail":
			return "", functions.Permanent(errors.New("no"))
		case "skip":
			return "", functions.Skip("x")
		}
		return "done", nil
	})
	reg.OnEnd(func(_ context.Context, job functions.Info) error {
		ends = append(ends, fmt.Sprintf("%s %s%s%s", job.State, job.Result, job.Error, job.Reason))
		return nil
	})
	d := newDesk(t, reg)
	for _, args := range []string{"", "fail", "skip"} {
		d.once(t, "a", args)
	}
	i := d.once(t, "a", "", functions.Held())
	if _, err := d.Client().Cancel(t.Context(), i.ID, "why not"); err != nil {
		t.Fatal(err)
	}
	d.once(t, "a", "", functions.Held(), functions.Deadline(time.Minute))
	d.advance(time.Hour)
	d.sweep(t)
	want := []string{`succeeded "done"`, "failed no", "skipped x", "cancelled why not", "failed the job's deadline passed before an attempt could start"}
	if !slices.Equal(ends, want) {
		t.Errorf("ends = %q; want ends as listed", ends)
	}
}

func TestAnEndHookIsCalledAgainUntilItSucceeds(t *testing.T) {
	calls := 0
	reg := handle(echoing)
	reg.OnEnd(func(context.Context, functions.Info) error {
		switch calls++; calls {
		case 1:
			return errors.New("mail server is away")
		case 2:
			panic("oh")
		}
		return nil
	})
	d := newDesk(t, reg)
	id := d.submit(t, "shop.order", order{})
	d.drain(t)
	for range 200 {
		d.advance(time.Minute)
		d.sweep(t)
	}
	if i := d.get(t, id); calls != 3 || i.State != store.Succeeded {
		t.Errorf("%d calls, %+v", calls, i)
	}
	if !d.logged("end hook failed", "mail server is away", "job="+id) || !d.logged("end hook", "panic: oh") {
		t.Error("nothing was said")
	}
}

func TestACrashBetweenTheEndAndItsHookIsMadeGoodBySweep(t *testing.T) {
	calls := 0
	reg := handle(echoing)
	reg.OnEnd(func(context.Context, functions.Info) error { calls++; return nil })
	d := newDesk(t, reg)
	id := d.submit(t, "shop.order", order{})
	j, err := d.store.Claim(t.Context(), id, store.Claim{Token: "t", Now: store.At(d.clock())})
	if err != nil {
		t.Fatal(err)
	}
	// The process writes the end, and dies before the hook.
	if _, err = d.store.Finish(t.Context(), j, store.Finish{Token: "t", Now: store.At(d.clock()), Outcome: store.OutcomeSuccess, Hooks: true}); err != nil {
		t.Fatal(err)
	}
	d.advance(2 * time.Minute)
	if r := d.sweep(t); r.Settled != 1 || calls != 1 {
		t.Errorf("%+v, %d calls", r, calls)
	}
	if r := d.sweep(t); r.Looked != 0 || calls != 1 {
		t.Errorf("%+v, %d calls", r, calls)
	}
}

func TestAHookThatWasCalledButNotNotedIsCalledAgain(t *testing.T) {
	calls := 0
	reg := handle(echoing)
	d := newDesk(t, reg)
	reg.OnEnd(func(context.Context, functions.Info) error {
		if calls++; calls == 1 {
			d.storeFails()
		}
		return nil
	})
	id := d.submit(t, "shop.order", order{})
	d.drain(t)
	d.storeWorks()
	if !d.logged("outbox done, but the record could not be written", "job="+id) {
		t.Error("nothing was said")
	}
	d.advance(2 * time.Minute)
	if r := d.sweep(t); r.Settled != 1 || calls != 2 {
		t.Errorf("%+v, %d calls", r, calls)
	}
}

func TestHooksOfAKindThatIsNotHereAreLeftToOthers(t *testing.T) {
	reg := handle(echoing)
	called := false
	reg.OnEnd(func(context.Context, functions.Info) error { called = true; return nil })
	d := newDesk(t, reg)
	id := d.submit(t, "shop.order", order{}, functions.Held())
	other, err := functions.New(functions.NewRegistry(), functions.Backends{Store: d.store, Queue: d, Blobs: d.blobs}, d.Config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Client().Cancel(t.Context(), id, ""); err != nil {
		t.Fatal(err)
	}
	d.advance(2 * time.Minute)
	if r, err := other.Sweep(t.Context(), functions.SweepRequest{}); err != nil || r.Settled != 0 || called {
		t.Errorf("result = %+v, error = %v; want no error, Settled = 0 and not called", r, err)
	}
	d.advance(time.Hour)
	if r := d.sweep(t); r.Settled != 1 || !called {
		t.Errorf("result = %+v; want Settled = 1 and called", r)
	}
}

// pool is a shared resource.
type pool struct{ name string }

func TestResourcesAreOpenedOnceAndClosedInReverse(t *testing.T) {
	var log []string
	var mu sync.Mutex
	say := func(what string) { mu.Lock(); defer mu.Unlock(); log = append(log, what) }
	broken := true
	reg := functions.NewRegistry()
	open := func(name string) *functions.Resource[*pool] {
		return functions.Share(reg, name, func(context.Context) (*pool, error) {
			if name == "second" && broken {
				return nil, errors.New("no route")
			}
			say("open " + name)
			return &pool{name}, nil
		}, func(p *pool) error {
			say("close " + p.name)
			if p.name == "first" {
				return errors.New("busy")
			}
			return nil
		})
	}
	first, second := open("first"), open("second")
	open("never used")
	functions.Share(reg, "without close", func(context.Context) (int, error) { return 7, nil }, nil)
	functions.Handle(reg, "shop.order", func(ctx context.Context, _ *functions.Job[order]) (string, error) {
		a, err := first.Get(ctx)
		if err != nil {
			return "", err
		}
		b, err := second.Get(ctx)
		if err != nil {
			return "", err
		}
		return a.name + b.name, nil
	}, functions.MaxAttempts(2))
	d := newDesk(t, reg)
	i := d.once(t, "shop.order", order{})
	if i.State != store.Retrying || !strings.Contains(i.Error, "resource cannot be opened: second: no route") {
		t.Fatalf("job = %+v; want State = Retrying and Error to contain \"resource cannot be opened: second: no route\"", i)
	}
	broken = false
	if i = d.until(t, i.ID); i.State != store.Succeeded {
		t.Fatalf("job = %+v; want State = Succeeded", i)
	}
	wantErr(t, func() error { _, err := first.Get(t.Context()); return err }(), nil)
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), "close resource first: busy") {
		t.Errorf("close: %v", err)
	}
	if want := []string{"open first", "open second", "close second", "close first"}; !slices.Equal(log, want) {
		t.Errorf("log = %v; want log as listed", log)
	}
	_, err := second.Get(t.Context())
	wantErr(t, err, functions.ErrResource, "second")
	wantErr(t, err, functions.ErrClosed)
}

func TestFilesThatCannotBeRemovedAreRemovedLater(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		w, err := job.Output(ctx, "a.txt")
		if err != nil || w.Close() != nil {
			t.Error(err)
		}
		return order{}, functions.Permanent(errors.New("no"))
	}, functions.Retention(0)))
	id := d.submit(t, "shop.order", order{})
	d.mu.Lock()
	failed := false
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		// The read in the middle of the purge fails.
		if len(d.files(t)) > 0 && acts[0].Kind == driver.Get && !failed {
			failed = true
			return driver.ActionListError{{Index: -1, Err: relay.Error{Code: gcerrors.PermissionDenied}}}
		}
		return next(ctx, acts)
	}
	d.mu.Unlock()
	d.drain(t)
	if len(d.files(t)) != 1 || !failed {
		t.Fatal("nothing failed")
	}
	d.advance(2 * time.Minute)
	if r := d.sweep(t); r.Settled != 1 || len(d.files(t)) != 0 {
		t.Errorf("%+v, %v of %s", r, d.files(t), id)
	}
}

// A handler and an end hook submit jobs through the client of their context, and these know who
// submitted them. A typed hook gets the whole result, and is not called for other kinds.
func TestJobsSubmitJobs(t *testing.T) {
	reg := functions.NewRegistry()
	large := strings.Repeat("x", 2*store.MaxInline)
	first, second := functions.Kind[order, order]("shop.first"), functions.Kind[order, order]("shop.second", functions.MaxAttempts(1))
	var ids []string
	submit := func(ctx context.Context, from string) error {
		r, err := second.Submit(ctx, functions.ClientFrom(ctx), order{Item: from}, functions.Key(from))
		ids = append(ids, r.ID)
		return err
	}
	first.Handle(reg, func(ctx context.Context, job *functions.Job[order]) (order, error) {
		return order{Item: large}, submit(ctx, "handler of "+job.ID)
	})
	second.Handle(reg, failing)
	var ends []string
	first.OnEnd(reg, func(ctx context.Context, job functions.Info, result order, ended error) error {
		ends = append(ends, fmt.Sprintf("%s %v %v", job.Kind, result.Item == large, ended))
		return submit(ctx, "hook of "+job.ID)
	})
	second.OnEnd(reg, func(_ context.Context, job functions.Info, _ order, ended error) error {
		e, ok := errors.AsType[*functions.EndedError](ended)
		ends = append(ends, fmt.Sprintf("%s %v %s", job.Kind, ok, e.Text))
		return nil
	})
	d := newDesk(t, reg)
	parent := d.once(t, "shop.first", order{})
	if want := []string{"shop.first true <nil>", "shop.second true no", "shop.second true no"}; !slices.Equal(ends, want) {
		t.Errorf("ends %q, want %q", ends, want)
	}
	if len(ids) != 2 {
		t.Fatalf("%d jobs were submitted by the job, want 2", len(ids))
	}
	for _, id := range ids {
		if i := d.get(t, id); i.Parent != parent.ID {
			t.Errorf("job %s has the parent %q, want %s", id, i.Parent, parent.ID)
		}
	}
	if functions.ClientFrom(t.Context()) != nil {
		t.Error("a context of no job has a client, want nil")
	}
}

// A typed hook whose type does not fit the result gets the error, and does not keep other hooks
// from being called.
func TestATypedHookWithAnotherTypeOfResult(t *testing.T) {
	reg := handle(echoing)
	var got error
	calls := 0
	functions.Kind[order, []int]("shop.order").OnEnd(reg, func(_ context.Context, _ functions.Info, _ []int, ended error) error {
		got = ended
		return nil
	})
	reg.OnEnd(func(context.Context, functions.Info) error { calls++; return nil })
	d := newDesk(t, reg)
	i := d.once(t, "shop.order", order{Item: "tea"})
	d.advance(time.Hour)
	d.sweep(t)
	if got == nil || !strings.Contains(got.Error(), "result of job "+i.ID) || calls != 1 {
		t.Errorf("the hook got %v, and the other was called %d times; want the error of the result, and 1", got, calls)
	}
}
