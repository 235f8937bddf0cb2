package functions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// pile submits n jobs whose messages are lost.
func (d *desk) pile(t *testing.T, n int) {
	t.Helper()
	subs := make([]functions.Submission, n)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "shop.order", Args: order{Count: i}}
	}
	if _, err := d.Client().SubmitMany(t.Context(), subs); err != nil {
		t.Fatal(err)
	}
	d.take()
}

func TestSweepSendsLostMessagesAgainAndBacksOff(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.pile(t, 250)
	if r := d.sweep(t); r.Looked != 0 || r.More {
		t.Errorf("too early: %+v", r)
	}
	d.advance(d.Timing().Grace + time.Minute)
	r := d.sweep(t)
	if r.Looked != 250 || r.Resent != 250 || len(d.take()) != 250 || r.Lag != functions.Duration(time.Minute) {
		t.Errorf("result = %+v; want Looked = 250, Resent = 250, 250 messages and Lag = Minute", r)
	}
	sweeps, resent := 0, 0
	for range 24 * 60 {
		d.advance(time.Minute)
		resent += d.sweep(t).Resent
		sweeps++
	}
	if perJob := resent / 250; perJob < 20 || perJob > 32 {
		t.Errorf("%d messages for a job that waits for a day", perJob)
	}
	d.drain(t)
	if n := d.Stats().Succeeded.Load(); n != 250 {
		t.Errorf("%d succeeded", n)
	}
}

func TestSweepIsBoundedAndGoesOnWhereItStopped(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.pile(t, 300)
	d.advance(time.Hour)
	var from functions.SweepCursor
	resent, rounds := 0, 0
	for {
		r, err := d.Sweep(t.Context(), functions.SweepRequest{Limit: 70, From: from})
		if err != nil || r.Looked > 70 {
			t.Fatalf("result = %+v, error = %v; want no error and Looked <= 70", r, err)
		}
		resent += r.Resent
		rounds++
		if from = r.Next; !r.More {
			break
		}
	}
	if resent != 300 || rounds != 5 {
		t.Errorf("%d resent in %d rounds", resent, rounds)
	}
}

func TestSweepStopsAtItsTimeAndWithItsContext(t *testing.T) {
	d := newDesk(t, handle(echoing), func(s *setup) { s.config.Parallel = 1 })
	d.pile(t, 300)
	d.advance(time.Hour)
	d.mu.Lock()
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		d.advance(time.Second)
		return next(ctx, acts)
	}
	d.mu.Unlock()
	r, err := d.Sweep(t.Context(), functions.SweepRequest{For: 30 * time.Second})
	if err != nil || !r.More || r.Looked == 0 || r.Looked > 100 {
		t.Errorf("result = %+v, error = %v; want no error, More, Looked other than 0 and Looked <= 100", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err = d.Sweep(ctx, functions.SweepRequest{}); err != nil || !r.More || r.Looked != 0 {
		t.Errorf("result = %+v, error = %v; want no error, More and Looked = 0", r, err)
	}
}

// A sweep that is cut short says so, and not that the store or the records had trouble.
func TestSweepThatIsCutShort(t *testing.T) {
	for name, calls := range map[string]int{"while it reads a batch": 1, "in the middle of a batch": 50} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, handle(echoing), func(s *setup) { s.config.Parallel = 1 })
			d.pile(t, 90)
			d.advance(time.Hour)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			n := 0
			d.mu.Lock()
			d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
				if n++; n < calls {
					return next(ctx, acts)
				}
				cancel()
				return driver.ActionListError{{Index: -1, Err: relay.Error{Code: gcerrors.Canceled}}}
			}
			d.mu.Unlock()
			r, err := d.Sweep(ctx, functions.SweepRequest{})
			if err != nil || !r.More || r.Failures != 0 || d.logged("level=ERROR") {
				t.Errorf("result = %+v, error = %v, log = %s; want no error, More, Failures = 0 and not d.logged(\"level=ERROR\")",
					r, err, d.log.String())
			}
			d.mu.Lock()
			d.actions = nil
			d.mu.Unlock()
			rest, err := d.Sweep(t.Context(), functions.SweepRequest{From: r.Next})
			if err != nil || rest.More || r.Resent+rest.Resent != 90 {
				t.Errorf("%d were sent before it, then %+v, %v", r.Resent, rest, err)
			}
		})
	}
}

func TestSweepCanBeDivided(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.pile(t, 200)
	d.advance(time.Hour)
	total := 0
	for part := range 3 {
		r, err := d.Sweep(t.Context(), functions.SweepRequest{Part: part, Parts: 3})
		if err != nil || r.Resent == 0 || r.Resent == 200 {
			t.Errorf("result = %+v, error = %v; want no error, Resent other than 0 and Resent other than 200", r, err)
		}
		total += r.Resent
	}
	if total != 200 {
		t.Errorf("%d resent", total)
	}
	for _, req := range []functions.SweepRequest{{Part: 3, Parts: 3}, {Part: -1, Parts: 3}, {Parts: -1}, {Part: 1}} {
		_, err := d.Sweep(t.Context(), req)
		wantErr(t, err, functions.ErrInvalid, "numbered from 0")
	}
}

func TestSweepLeavesWhatANewerVersionWroteAndSaysWhatItCannotRead(t *testing.T) {
	d := newDesk(t, handle(echoing))
	newer, corrupt := d.submit(t, "shop.order", order{}), d.submit(t, "shop.order", order{})
	msgs := d.take()
	d.rewrite(t, newer, `{"v":9,"id":"x","kind":"shop.order","state":"paused"}`)
	d.rewrite(t, corrupt, `garbage`)
	d.advance(time.Hour)
	if r := d.sweep(t); r.Left != 1 || r.Failures != 1 || !d.logged("sweep found a record that cannot be read", "corrupt") {
		t.Errorf("result = %+v; want Left = 1, Failures = 1 and d.logged(\"sweep found a record that cannot be read\", \"corrupt\")", r)
	}
	for pause, failures := range map[time.Duration]int{time.Minute: 0, 25 * time.Hour: 1} { // told of once a day
		d := newDesk(t, handle(echoing))
		d.rewrite(t, d.submit(t, "shop.order", order{}), `garbage`)
		d.advance(time.Hour)
		first := d.sweep(t)
		d.advance(pause)
		if again := d.sweep(t); first.Failures != 1 || again.Failures != failures {
			t.Errorf("after %v: %d failures, want %d", pause, again.Failures, failures)
		}
	}
	if out := d.Execute(t.Context(), msgs[0].msg); out.Verdict != functions.Retry || !errors.Is(out.Err, store.ErrNewerRecord) {
		t.Errorf("newer: %+v", out)
	}
	if out := d.Execute(t.Context(), msgs[1].msg); out.Verdict != functions.Drop || !errors.Is(out.Err, store.ErrCorrupt) {
		t.Errorf("corrupt: %+v", out)
	}
	i, err := d.Client().Get(t.Context(), newer)
	wantErr(t, err, store.ErrNewerRecord, "update this process")
	if i.State != "paused" || i.Kind != "shop.order" {
		t.Errorf("job = %+v; want State = \"paused\" and Kind = \"shop.order\"", i)
	}
	_, err = d.Client().Cancel(t.Context(), newer, "")
	wantErr(t, err, store.ErrNewerRecord)
}

// rewrite puts other data into a record.
func (d *desk) rewrite(t *testing.T, id, data string) {
	t.Helper()
	if err := d.inner.Update(t.Context(), map[string]any{"id": id}, docstore.Mods{"data": []byte(data)}); err != nil {
		t.Fatal(err)
	}
}

func TestSweepReportsAStoreThatIsAway(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.pile(t, 5)
	d.advance(time.Hour)
	d.storeFails()
	r, err := d.Sweep(t.Context(), functions.SweepRequest{})
	if r.Failures == 0 || r.Failures+r.Left != 5 || err != nil { // the queries answered, the reads did not
		t.Errorf("result = %+v, error = %v; want 5 failures, or fewer and the rest of their partition left, and no error", r, err)
	}
}

func TestRecoverThatIsCutShortSaysSo(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.pile(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := d.Recover(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("result = %+v, error = %v; want error context.Canceled", r, err)
	}
}

func TestRecoverSendsWhatAnEmptyQueueHasLost(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.pile(t, 30)
	held := d.submit(t, "shop.order", order{}, functions.Held())
	later := d.submit(t, "shop.order", order{}, functions.After(10*time.Minute))
	running := d.submit(t, "shop.order", order{})
	d.die(t)
	r, err := d.Recover(t.Context())
	if err != nil || r.Resent != 30 || len(d.take()) != 30 {
		t.Errorf("result = %+v, error = %v; want no error, Resent = 30 and 30 messages", r, err)
	}
	d.advance(d.Timing().Lease + d.Timing().Skew + time.Second) // sweep would look a minute later
	if r, err = d.RecoverRunning(t.Context()); err != nil || r.Lost != 1 || r.Resent != 0 {
		t.Errorf("recovered %+v, %v; want 1 lost and none of the others sent again", r, err)
	}
	if i := d.get(t, running); i.State != store.Retrying && i.State != store.Queued {
		t.Errorf("job = %+v; want State = Retrying or State = Queued", i)
	}
	for id, want := range map[string]store.State{held: store.Held, later: store.Scheduled} {
		if i := d.get(t, id); i.State != want {
			t.Errorf("job = %+v; want State = want", i)
		}
	}
}

func TestRetentionRemovesRecordAndFiles(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		return order{}, writeTo(ctx, job, "a.txt", "x")
	}, functions.Retention(time.Hour)))
	ids := []string{d.submit(t, "shop.order", order{}), d.submit(t, "shop.order", order{}, functions.Retention(0))}
	d.drain(t)
	d.advance(time.Hour - time.Millisecond)
	if r := d.sweep(t); r.Looked != 0 {
		t.Errorf("result = %+v; want Looked = 0", r)
	}
	d.advance(time.Hour)
	if r := d.sweep(t); r.Removed != 1 || len(d.files(t)) != 1 {
		t.Errorf("result = %+v, files = %v; want Removed = 1 and one file", r, d.files(t))
	}
	_, err := d.Client().Get(t.Context(), ids[0])
	wantErr(t, err, store.ErrNotFound)
	d.get(t, ids[1])
	if r := d.sweep(t); r.Looked != 0 {
		t.Errorf("result = %+v; want Looked = 0", r)
	}
}

func TestACrashInTheMiddleOfRemovalIsMadeGood(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		return order{}, writeTo(ctx, job, "a.txt", "x")
	}, functions.Retention(time.Hour)))
	i := d.once(t, "shop.order", order{})
	d.advance(2 * time.Hour)
	d.mu.Lock()
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if acts[0].Kind == driver.Delete {
			return driver.ActionListError{{Index: 0, Err: errors.New("crash")}}
		}
		return next(ctx, acts)
	}
	d.mu.Unlock()
	if r := d.sweep(t); r.Failures != 1 || len(d.files(t)) != 0 {
		t.Errorf("result = %+v; want Failures = 1 and no files", r)
	}
	d.storeWorks()
	_, err := d.Client().Retry(t.Context(), i.ID)
	wantErr(t, err, store.ErrMove)
	d.advance(time.Hour)
	if r := d.sweep(t); r.Removed != 1 {
		t.Errorf("result = %+v; want Removed = 1", r)
	}
}

func TestListThroughTheClient(t *testing.T) {
	reg := handle(failing, functions.MaxAttempts(1))
	functions.Handle(reg, "other", echoing)
	d := newDesk(t, reg)
	for i := range 10 {
		d.once(t, "shop.order", order{Count: i}, functions.Tags(fmt.Sprint("t", i%2)))
		d.once(t, "other", order{Count: i}, functions.Tags("t0"))
		d.advance(time.Second)
	}
	for name, c := range map[string]struct {
		filter functions.ListFilter
		want   int
	}{
		"all": {functions.ListFilter{}, 20}, "kind": {functions.ListFilter{Kind: "other"}, 10},
		"failed": {functions.ListFilter{States: []store.State{store.Failed}}, 10}, "tag": {functions.ListFilter{Tag: "t0"}, 15},
		"page": {functions.ListFilter{Limit: 7}, 7}, "unknown kind": {functions.ListFilter{Kind: "nobody"}, 0},
	} {
		list, err := d.Client().List(t.Context(), c.filter)
		if err != nil || len(list.Jobs) != c.want || (list.Next != "") != (name == "page") {
			t.Errorf("%s: %d jobs, next %q, %v", name, len(list.Jobs), list.Next, err)
		}
		if b, err := json.Marshal(list); err != nil || !json.Valid(b) {
			t.Error(err)
		}
	}
	for text, f := range map[string]functions.ListFilter{
		`unknown state "faild"; did you mean "failed"?`: {States: []store.State{store.Queued, "faild"}},
		"1 to 1000": {Limit: 1001}, "lower-case": {Kind: "No"}, "queue": {Queue: "No"}, "exchange them": {CreatedFrom: d.clock(), CreatedBefore: d.clock()},
	} {
		_, err := d.Client().List(t.Context(), f)
		wantErr(t, err, functions.ErrInvalid, text)
	}
	_, err := d.Client().List(t.Context(), functions.ListFilter{Cursor: "elsewhere"})
	wantErr(t, err, store.ErrCursor)
}
