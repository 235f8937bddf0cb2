package functions_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// sound fails the test if the stored state breaks a rule.
func (d *desk) sound(t *testing.T) {
	t.Helper()
	r, err := fsck.Check(t.Context(), d.inner, d.bucket, fsck.Options{Now: d.clock()})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(r.Problems, r.Notes...) {
		t.Error(p)
	}
}

// largestWrite notes the longest record that is written.
func (d *desk) largestWrite(largest *int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		for _, a := range acts {
			for _, m := range a.Mods {
				if data, ok := m.Value.([]byte); ok {
					*largest = max(*largest, len(data))
				}
			}
		}
		return next(ctx, acts)
	}
}

// The record stays small however many parts there are, and what an output holds is the whole of
// them in order.
func TestThousandsOfCheckpointsWithOpenOutputs(t *testing.T) {
	const checkpoints, per = 5000, 700
	var d *desk
	var largest, lists int
	names := []string{"a.csv", "b.csv", "c.csv"}
	var want [3]strings.Builder
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		var at int
		if _, err := job.LoadCheckpoint(ctx, &at); err != nil {
			return order{}, err
		}
		outs := make([]*functions.Output, len(names))
		for i, name := range names {
			var err error
			if outs[i], err = job.Output(ctx, name); err != nil {
				return order{}, err
			}
			if got := outs[i].Size(); got != int64(want[i].Len()) {
				t.Errorf("%s has %d bytes after checkpoint %d, want %d", name, got, at, want[i].Len())
			}
		}
		for range per {
			if at == checkpoints {
				return order{}, nil
			}
			for i, o := range outs {
				_, _ = fmt.Fprintln(io.MultiWriter(o, &want[i]), at, i)
			}
			at++
			if err := job.Checkpoint(ctx, at); err != nil {
				return order{}, err
			}
		}
		lists = 0
		for _, key := range d.files(t) {
			if strings.Contains(key, "/p-parts-") {
				lists++
			}
		}
		if job.Attempt%2 == 0 {
			return order{}, errors.New("a bad day")
		}
		return order{}, functions.Continue(at)
	}, functions.Retries(functions.Constant(0)), functions.MaxAttempts(100)))
	d.largestWrite(&largest)
	i := d.once(t, "shop.order", order{})
	if i.State != store.Succeeded {
		t.Fatalf("state %s, error %s", i.State, i.Error)
	}
	for n, name := range names {
		if got := d.output(t, i.ID, name); got != want[n].String() {
			t.Errorf("%s has %d bytes, want %d", name, len(got), want[n].Len())
		}
	}
	if const64 := 64 << 10; largest > const64/2 {
		t.Errorf("the largest record had %d bytes, want at most %d", largest, const64/2)
	}
	if lists > 4*8 {
		t.Errorf("there were %d lists of parts, want at most 32", lists)
	}
	if files := d.files(t); len(files) != 3 {
		t.Errorf("%d files are left, want 3", len(files))
	}
	d.sound(t)
}

func TestTenThousandOutputs(t *testing.T) {
	const many = 10_000
	var d *desk
	var largest int
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		var half bool
		if _, err := job.LoadCheckpoint(ctx, &half); err != nil {
			return order{}, err
		}
		from, to := 0, many/2
		if half {
			from, to = many/2, many
		}
		for n := from; n < to; n++ {
			if err := writeTo(ctx, job, fmt.Sprintf("file-%05d", n), fmt.Sprint(n)); err != nil {
				return order{}, err
			}
		}
		if !half {
			return order{}, functions.Continue(true)
		}
		return order{}, nil
	}))
	d.largestWrite(&largest)
	i := d.once(t, "shop.order", order{})
	if i.State != store.Succeeded || len(i.Outputs) != many || i.OutputCount != many {
		t.Fatalf("state %s, %d outputs, count %d, error %s", i.State, len(i.Outputs), i.OutputCount, i.Error)
	}
	for _, n := range []int{0, many/2 - 1, many / 2, many - 1} {
		if got := d.output(t, i.ID, fmt.Sprintf("file-%05d", n)); got != fmt.Sprint(n) {
			t.Errorf("output %d holds %q", n, got)
		}
	}
	if keys, err := d.Client().OutputKeys(t.Context(), i.ID, "file-09999"); err != nil || len(keys) != 1 {
		t.Errorf("keys %v, error %v, want one key", keys, err)
	}
	if largest > 16<<10 {
		t.Errorf("the largest record had %d bytes", largest)
	}
	list, err := d.Client().List(t.Context(), functions.ListFilter{})
	if err != nil || len(list.Jobs) != 1 || list.Jobs[0].Outputs != nil || list.Jobs[0].OutputCount != many {
		t.Errorf("the list does not tell the number only: %v, %d jobs", err, len(list.Jobs))
	}
	d.sound(t)
}

func TestTheNumberOfOutputsIsBounded(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		for n := range functions.MaxOutputs {
			if _, err := job.Output(ctx, fmt.Sprint(n)); err != nil {
				return order{}, err
			}
		}
		_, err := job.Output(ctx, "one more")
		return order{}, functions.Permanent(err)
	}))
	i := d.once(t, "shop.order", order{})
	if want := fmt.Sprintf("at most %d", functions.MaxOutputs); !strings.Contains(i.Error, want) || !strings.Contains(i.Error, "one more") {
		t.Errorf("error %q, want one that says %q", i.Error, want)
	}
}

// payloads are the blobs of the job that are not outputs.
func (d *desk) payloads(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(d.files(t), func(key string) bool { return !strings.Contains(key, "/p-") })
}

func TestACheckpointThatWasReplacedIsRemoved(t *testing.T) {
	var d *desk
	runs := 0
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		runs++
		var was order
		if _, err := job.LoadCheckpoint(ctx, &was); err != nil {
			return order{}, err
		}
		for n := range 5 {
			at := order{large, runs*100 + n%2} // the same again, too
			if err := job.Checkpoint(ctx, at); err != nil {
				return order{}, err
			}
			if there := d.payloads(t); len(there) != 1 {
				t.Errorf("run %d, checkpoint %d: the blobs are %v, want one", runs, n, there)
			}
		}
		switch runs {
		case 1:
			return order{}, functions.Continue(order{large, 1})
		case 2:
			return order{}, functions.ContinueAfter(time.Second, order{large, 2})
		case 3:
			return order{}, errors.New("fails")
		case 4:
			return order{}, functions.Continue(order{Item: "small"})
		}
		return order{}, nil
	}, functions.Retries(functions.Constant(0))))
	id := d.submit(t, "shop.order", order{})
	for n, want := range []int{1, 1, 1, 0} {
		m := d.take()
		if len(m) == 0 {
			d.advance(time.Minute)
			d.sweep(t)
			m = d.take()
		}
		d.Execute(t.Context(), m[0].msg)
		if there := d.payloads(t); len(there) != want {
			t.Errorf("after run %d the blobs are %v, want %d", n+1, there, want)
		}
	}
	if i := d.until(t, id); i.State != store.Succeeded {
		t.Errorf("state %s, error %s", i.State, i.Error)
	}
	if files := d.files(t); len(files) != 0 {
		t.Errorf("files are left: %v", files)
	}
}

// A write that was given up may still be applied: until the next one has been, the blobs of both
// stay.
func TestBlobsOfACheckpointStayWhileItMayStillBeApplied(t *testing.T) {
	var d *desk
	var late func()
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		if err := job.Checkpoint(ctx, order{large, 1}); err != nil {
			return order{}, err
		}
		given, cancel := context.WithCancel(ctx)
		d.mu.Lock()
		d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if acts[0].Kind != driver.Update {
				return next(ctx, acts)
			}
			late = func() { next(context.WithoutCancel(ctx), acts) }
			cancel()
			return driver.ActionListError{{Index: 0, Err: context.Canceled}}
		}
		d.mu.Unlock()
		if err := job.Checkpoint(given, order{large, 2}); err == nil {
			t.Error("the checkpoint was answered")
		}
		d.storeWorks()
		if there := d.payloads(t); len(there) != 2 {
			t.Errorf("the blobs are %v, want that of both checkpoints", there)
		}
		late()
		d.sound(t)
		if err := job.Checkpoint(ctx, order{large, 3}); err != nil {
			t.Error(err)
		}
		if there := d.payloads(t); len(there) != 1 {
			t.Errorf("the blobs are %v, want one", there)
		}
		return order{}, nil
	}))
	if i := d.once(t, "shop.order", order{}); i.State != store.Succeeded {
		t.Errorf("state %s, error %s", i.State, i.Error)
	}
}

// What an older version has saved, with all parts in the record up to its limit, can be gone on
// with, or ended.
func TestARecordThatAnOlderVersionHasFilled(t *testing.T) {
	for _, resume := range []bool{true, false} {
		t.Run(fmt.Sprint("resume ", resume), func(t *testing.T) {
			var d *desk
			var largest int
			d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
				if job.Attempt == 1 {
					return order{}, errors.New("no")
				}
				if !resume {
					panic(strings.Repeat("\x01", 100_000))
				}
				if _, err := job.LoadCheckpoint(ctx, new(int)); err != nil {
					return order{}, err
				}
				d.largestWrite(&largest)
				if err := job.Checkpoint(ctx, 2); err != nil {
					return order{}, err
				}
				return order{}, errors.New("again")
			}, functions.MaxAttempts(2), functions.Retries(functions.Constant(time.Second))))
			id := d.submit(t, "shop.order", order{})
			d.drain(t)
			d.fill(t, id)
			i := d.until(t, id)
			if i.State != store.Failed || i.Attempt != 2 {
				t.Errorf("state %s after %d attempts, want failed after 2: %s", i.State, i.Attempt, i.Error)
			}
			if resume && largest > 32<<10 {
				t.Errorf("after the checkpoint the record has %d bytes", largest)
			}
			j, err := d.store.Get(t.Context(), id)
			if err != nil || j.Checkpoint.IsZero() {
				t.Errorf("the checkpoint is gone, error %v", err)
			}
			if _, err := d.Client().Retry(t.Context(), id); err != nil {
				t.Error(err)
			}
			if _, err := d.Client().Cancel(t.Context(), id, strings.Repeat("\x01", 100_000)); err != nil {
				t.Error(err)
			}
			if i := d.get(t, id); i.State != store.Cancelled {
				t.Errorf("state %s, want cancelled", i.State)
			}
		})
	}
}

// fill makes the record of a job that waits one of 380,000 bytes, which was the limit of earlier
// versions.
func (d *desk) fill(t *testing.T, id string) {
	t.Helper()
	doc := map[string]any{store.IDField: id}
	if err := d.inner.Get(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	data := string(doc["data"].([]byte))
	part, err := d.blobs.Put(t.Context(), id, "x", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	one := fmt.Sprintf(`{"key":%q,"size":1,"sha256":%q}`, part.Key, part.SHA256)
	n := (380_000 - len(data) - 200) / (len(one) + 1)
	open := `"checkpoint":{"inline":1},"saved":1,"open":[{"name":"a.csv","parts":[` + strings.Repeat(one+",", n-1) + one + `]}],`
	doc["data"] = []byte(strings.Replace(data, `"policy"`, open+`"policy"`, 1))
	if err := d.inner.Put(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
}

// Checkpoints that a handler saves from several goroutines at once do not take one another's blobs
// away.
func TestCheckpointsAtOnce(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		var at order
		if found, err := job.LoadCheckpoint(ctx, &at); err != nil || found {
			return at, err
		}
		errs := make(chan error)
		for n := range 4 {
			go func() {
				out, err := job.Output(ctx, fmt.Sprint(n, ".txt"))
				for i := 0; i < 20 && err == nil; i++ {
					_, _ = fmt.Fprintln(out, i)
					err = job.Checkpoint(ctx, order{large, i})
				}
				errs <- err
			}()
		}
		for range 4 {
			if err := <-errs; err != nil {
				return order{}, err
			}
		}
		return order{}, errors.New("again")
	}, functions.Retries(functions.Constant(0))), func(s *setup) { s.config.InlineLists, s.config.MergeLists = 500, 2 })
	i := d.once(t, "shop.order", order{})
	if got, err := resultOf[order](i); err != nil || got.Item != large || len(i.Outputs) != 4 {
		t.Errorf("error %v, %d outputs, want 4: %s", err, len(i.Outputs), i.Error)
	}
	d.sound(t)
}

// An output that is too large to be joined stays in its parts, however many these are.
func TestAnOutputInManyParts(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		out, err := job.Output(ctx, "a.txt")
		for n := 0; n < 300 && err == nil; n++ {
			_, _ = fmt.Fprintln(out, n)
			err = job.Checkpoint(ctx, n)
		}
		return order{}, err
	}), func(s *setup) { s.config.JoinLimit = 3 })
	i := d.once(t, "shop.order", order{})
	keys, err := d.Client().OutputKeys(t.Context(), i.ID, "a.txt")
	if err != nil || len(keys) != 300 || len(i.Outputs) != 1 || i.OutputCount != 1 {
		t.Fatalf("%d keys, error %v, %d outputs; want 300 of one: %s", len(keys), err, len(i.Outputs), i.Error)
	}
	if got := d.output(t, i.ID, "a.txt"); !strings.HasPrefix(got, "0\n1\n") || !strings.HasSuffix(got, "298\n299\n") {
		t.Errorf("the output holds %q", got)
	}
	j, err := d.store.Get(t.Context(), i.ID)
	if err != nil || j.OutputsIn == nil || len(j.Outputs) > 0 {
		t.Errorf("the record lists %d outputs itself, error %v; want a manifest", len(j.Outputs), err)
	}
	d.sound(t)
	if err := d.bucket.Delete(t.Context(), j.OutputsIn.Blob.Key); err != nil {
		t.Fatal(err)
	}
	_, err = d.Client().Get(t.Context(), i.ID)
	wantErr(t, err, blobout.ErrNotFound, "outputs of job "+i.ID)
}
