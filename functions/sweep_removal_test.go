package functions_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// gone runs n jobs whose retention has then passed.
func (d *desk) gone(t *testing.T, n int) {
	t.Helper()
	subs := make([]functions.Submission, n)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "shop.order", Args: order{Count: i}, Options: []functions.SubmitOption{functions.Retention(time.Minute)}}
	}
	if _, err := d.Client().SubmitMany(t.Context(), subs); err != nil {
		t.Fatal(err)
	}
	d.drain(t)
	d.advance(time.Hour)
}

// partition is where in the due index a record stands.
func (d *desk) partition(t *testing.T, id string) string {
	t.Helper()
	doc := map[string]any{"id": id}
	if err := d.inner.Get(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	pk, _ := doc["due_pk"].(string)
	return pk
}

// beforeActions has f called before each list of actions, one call at a time.
func (d *desk) beforeActions(f func(acts []*driver.Action)) {
	var one sync.Mutex
	before := func(acts []*driver.Action) {
		one.Lock()
		defer one.Unlock()
		f(acts)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		before(acts)
		return next(ctx, acts)
	}
}

func TestSweepRemovesLastAndInLists(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.gone(t, 1000)
	d.pile(t, 250)
	d.advance(d.Timing().Grace + time.Minute)
	updates, deletes, lists := 0, 0, 0
	d.beforeActions(func(acts []*driver.Action) {
		switch acts[0].Kind {
		case driver.Update:
			updates += len(acts)
		case driver.Delete:
			if lists++; updates != 250 {
				t.Errorf("a removal after %d of 250 messages", updates)
			}
			deletes += len(acts)
		}
	})
	r := d.sweep(t)
	if r.Removed != 1000 || r.Resent != 250 || r.More || r.Failures != 0 {
		t.Errorf("swept %+v, want 1000 removed and 250 resent", r)
	}
	if most := 10 + store.GoneShards; deletes != 1000 || lists > most {
		t.Errorf("%d deletions in %d lists, want 1000 in %d at most", deletes, lists, most)
	}
}

// However much is to be removed, what becomes due meanwhile is seen within seconds.
func TestSweepLooksAgainWhileItRemoves(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.gone(t, 3000)
	d.submit(t, "shop.order", order{}, functions.After(10*time.Second))
	d.take()
	began, seen := d.clock(), time.Duration(0)
	d.beforeActions(func(acts []*driver.Action) {
		switch acts[0].Kind {
		case driver.Update:
			seen = d.clock().Sub(began)
		case driver.Delete:
			d.advance(time.Second) // a slow store: 30 seconds for all
		}
	})
	r := d.sweep(t)
	if r.Removed != 3000 || r.Started != 1 || r.More {
		t.Errorf("swept %+v, want 3000 removed and 1 started", r)
	}
	if seen < 10*time.Second || seen > 16*time.Second {
		t.Errorf("the job was started after %v, want 10s, and 6s more at most", seen)
	}
}

// filing is a handler that writes a file, unless its item is "none".
func filing(ctx context.Context, job *functions.Job[order]) (order, error) {
	if job.Args.Item == "none" {
		return order{}, nil
	}
	return order{}, writeTo(ctx, job, "a.txt", job.ID)
}

// Files take longest: the removal stops in the middle of a batch when its share is spent.
func TestSweepLooksAgainWhileItRemovesFiles(t *testing.T) {
	d := newDesk(t, handle(filing), func(s *setup) { s.config.Parallel = 1 })
	d.gone(t, 60)
	later := d.submit(t, "shop.order", order{Item: "none"}, functions.After(10*time.Second))
	d.take()
	began, seen := d.clock(), time.Duration(0)
	d.beforeActions(func(acts []*driver.Action) {
		switch {
		case acts[0].Kind == driver.Update && acts[0].Key == later:
			seen = d.clock().Sub(began)
		case acts[0].Kind == driver.Delete:
			d.advance(time.Second)
		}
	})
	r := d.sweep(t)
	if r.Removed != 60 || r.Started != 1 || r.More || len(d.files(t)) != 0 {
		t.Errorf("swept %+v, want 60 removed with all files and 1 started", r)
	}
	if seen < 10*time.Second || seen > 16*time.Second {
		t.Errorf("the job was started after %v, want 10s, and 6s more at most", seen)
	}
}

func TestSweepRemovesWithinItsTime(t *testing.T) {
	d := newDesk(t, handle(filing), func(s *setup) { s.config.Parallel = 1 })
	d.gone(t, 60)
	d.beforeActions(func(acts []*driver.Action) {
		if acts[0].Kind == driver.Delete {
			d.advance(time.Second)
		}
	})
	r, err := d.Sweep(t.Context(), functions.SweepRequest{For: 17 * time.Second}) // no multiple of its rounds
	if err != nil || !r.More || r.Removed < 15 || r.Removed > 18 {
		t.Errorf("swept %+v, %v; want some 17 removed, and more to do", r, err)
	}
	if r, err = d.Sweep(t.Context(), functions.SweepRequest{From: r.Next}); err != nil || r.More || len(d.files(t)) != 0 {
		t.Errorf("then swept %+v, %v; %d files are left, want none", r, err, len(d.files(t)))
	}
}

// More than a batch of one partition, and more than the limit that stays undone: each sweep of a chain goes on
// where the last one stopped, looks first at what is due, and the chain ends.
func TestSweepInManyCallsComesToItsEnd(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.gone(t, 400)
	newer := func(n int) {
		t.Helper()
		for _, ref := range d.due(t) {
			if n--; n < 0 {
				return
			}
			d.rewrite(t, ref.ID, `{"v":9,"kind":"shop.order","state":"paused"}`)
		}
	}
	newer(200)
	before := len(d.due(t))
	d.pile(t, 200)
	d.advance(d.Timing().Grace + time.Minute)
	if n := len(d.due(t)) - before; n != 200 {
		t.Fatalf("%d are due, want 200", n)
	}
	var sum functions.SweepResult
	var from functions.SweepCursor
	calls, late, started := 0, "", 0
	for {
		r, err := d.Sweep(t.Context(), functions.SweepRequest{Limit: 70, From: from})
		if err != nil || r.Looked > 70 {
			t.Fatalf("swept %+v, %v; want at most 70 looked at", r, err)
		}
		sum.Removed, sum.Resent, sum.Left = sum.Removed+r.Removed, sum.Resent+r.Resent, sum.Left+r.Left
		calls++
		if late != "" && started == 0 {
			if started = calls; r.Started != 1 {
				t.Errorf("swept %+v; want the job started that came due since the last call", r)
			}
		}
		if late == "" && sum.Removed > 0 { // the removal has begun
			late = d.submit(t, "shop.order", order{}, functions.After(time.Second))
			d.advance(time.Second)
		}
		if from = r.Next; !r.More {
			break
		}
		if calls > 100 {
			t.Fatalf("no end after %d calls: %+v", calls, sum)
		}
	}
	if sum.Removed != 200 || sum.Resent != 200 || sum.Left != 200 || started == 0 || calls > 10 {
		t.Errorf("%+v in %d calls, late job started in call %d; want 200 removed, resent and left in 10 calls", sum, calls, started)
	}
}

// due lists what is due now in all partitions.
func (d *desk) due(t *testing.T) []store.DueRef {
	t.Helper()
	var all []store.DueRef
	for p := range store.DuePartitions {
		refs, err := d.store.Due(t.Context(), p, store.At(d.clock()), "", 10_000)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, refs...)
	}
	return all
}

func TestSweepTakesAllOfALongPartition(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.gone(t, 1000) // some 250 in each partition
	d.pile(t, 2500) // some 150
	d.advance(d.Timing().Grace + time.Minute)
	if r := d.sweep(t); r.Resent != 2500 || r.Removed != 1000 || r.More {
		t.Errorf("swept %+v, want 2500 resent and 1000 removed", r)
	}
}

func TestRemovalCanBeDivided(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.gone(t, 200)
	total := 0
	for part := range 3 {
		r, err := d.Sweep(t.Context(), functions.SweepRequest{Part: part, Parts: 3})
		if err != nil || r.Removed == 0 || r.Removed == 200 {
			t.Errorf("part %d swept %+v, %v; want a part of 200 removed", part, r, err)
		}
		total += r.Removed
	}
	if total != 200 {
		t.Errorf("%d removed, want 200", total)
	}
}

// asBefore puts a record where versions wrote it that had one kind of partition.
func (d *desk) asBefore(t *testing.T, id string) {
	t.Helper()
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	pk := fmt.Sprintf("due#%02d", h.Sum32()%store.DueShards)
	if err := d.inner.Update(t.Context(), map[string]any{"id": id}, docstore.Mods{"due_pk": pk}); err != nil {
		t.Fatal(err)
	}
}

func TestSweepRemovesWhatEarlierVersionsWrote(t *testing.T) {
	d := newDesk(t, handle(filing))
	plain := d.once(t, "shop.order", order{Item: "none"}, functions.Retention(time.Minute)).ID
	filed := d.once(t, "shop.order", order{}, functions.Retention(time.Minute)).ID
	doomed := d.once(t, "shop.order", order{}, functions.Retention(time.Minute)).ID
	d.advance(time.Hour)
	j, err := d.store.Get(t.Context(), doomed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.MarkRemoving(t.Context(), j, store.At(d.clock().Add(-time.Hour/2))); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{plain, filed, doomed} {
		if pk := d.partition(t, id); !strings.HasPrefix(pk, "gone#") {
			t.Errorf("an ended job stands in %q, want gone#", pk)
		}
		d.asBefore(t, id)
	}
	if r := d.sweep(t); r.Removed != 2 || r.Left != 1 {
		t.Errorf("swept %+v, want 2 removed and 1 left", r)
	}
	if pk := d.partition(t, filed); !strings.HasPrefix(pk, "gone#") || len(d.files(t)) != 1 {
		t.Errorf("the job with files stands in %q, with %d files in all; want gone# and 1", pk, len(d.files(t)))
	}
	d.advance(2 * time.Minute)
	if r := d.sweep(t); r.Removed != 1 || len(d.files(t)) != 0 {
		t.Errorf("swept %+v, %d files are left; want 1 removed and no files", r, len(d.files(t)))
	}
}

// An index lags, and an earlier version may retry a job without moving it: the record decides.
func TestSweepFindsALiveJobAmongThoseThatGo(t *testing.T) {
	d := newDesk(t, handle(echoing))
	id := d.submit(t, "shop.order", order{})
	d.take()
	if err := d.inner.Update(t.Context(), map[string]any{"id": id}, docstore.Mods{"due_pk": "gone#0"}); err != nil {
		t.Fatal(err)
	}
	d.advance(d.Timing().Grace + time.Minute)
	if r := d.sweep(t); r.Resent != 1 || r.Removed != 0 {
		t.Errorf("swept %+v, want 1 resent", r)
	}
}

// A sweep stands still when it has marked a job for its removal. Meanwhile another removes it, and a job takes its place
// under the same key: what the first one finds then is not its own.
func TestRemovalLeavesTheFilesOfTheNextJobOfAKey(t *testing.T) {
	d := newDesk(t, handle(filing))
	submit := func() functions.Info {
		return d.once(t, "shop.order", order{}, functions.Key("k"), functions.Retention(time.Hour))
	}
	first := submit()
	d.advance(2 * time.Hour)
	var next functions.Info
	d.mu.Lock()
	d.actions = func(ctx context.Context, acts []*driver.Action, do relay.Run) driver.ActionListError {
		err := do(ctx, acts)
		if acts[0].Kind == driver.Update {
			d.storeWorks()
			d.advance(2 * time.Minute)
			if r := d.sweep(t); r.Removed != 1 {
				t.Errorf("the other sweep: %+v, want 1 removed", r)
			}
			next = submit()
		}
		return err
	}
	d.mu.Unlock()
	if r := d.sweep(t); r.Removed != 0 || r.Left != 1 {
		t.Errorf("swept %+v, want 1 left", r)
	}
	if next.ID != first.ID || d.output(t, next.ID, "a.txt") != next.ID {
		t.Errorf("the next job %q of the key has lost its file, or is another than %q", next.ID, first.ID)
	}
}
