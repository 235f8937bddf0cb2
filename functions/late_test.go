package functions_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// late holds up a write that has some text in it, and all updates after it, until their callers
// give up. The function that it returns applies the held write.
func (d *desk) late(t *testing.T, text string) (apply func()) {
	var mu sync.Mutex // heartbeats write too
	var held func() driver.ActionListError
	holds := func(ctx context.Context, acts []*driver.Action, next relay.Run) bool {
		mu.Lock()
		defer mu.Unlock()
		if acts[0].Kind != driver.Update || held == nil && !bytes.Contains(acts[0].Mods[0].Value.([]byte), []byte(text)) {
			return false
		}
		if held == nil {
			held = func() driver.ActionListError { return next(context.WithoutCancel(ctx), acts) }
		}
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if !holds(ctx, acts, next) {
			return next(ctx, acts)
		}
		<-ctx.Done()
		return driver.ActionListError{{Index: 0, Err: ctx.Err()}}
	}
	return func() {
		t.Helper()
		mu.Lock()
		write := held
		mu.Unlock()
		if write == nil {
			t.Fatalf("no write had %s in it", text)
		}
		d.storeWorks()
		if err := write(); err != nil {
			t.Fatalf("the late write: %v, want it to be applied", err)
		}
	}
}

// fsck fails the test for each problem of the stored state.
func (d *desk) fsck(t *testing.T) {
	t.Helper()
	report, err := fsck.Check(t.Context(), d.inner, d.bucket, fsck.Options{Now: time.Now(), Timing: d.Timing()})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("fsck: %v, want no problem", p)
	}
}

// exporter writes an output in two parts, with a checkpoint after each.
func exporter(ctx context.Context, job *functions.Job[order]) (order, error) {
	var at int
	if _, err := job.LoadCheckpoint(ctx, &at); err != nil {
		return order{}, err
	}
	out, err := job.Output(ctx, "data.txt")
	for n := at + 1; n <= 2 && err == nil; n++ {
		_, _ = fmt.Fprintln(out, "step", n)
		err = job.Checkpoint(ctx, n)
	}
	return order{Count: 2}, err
}

// A write that an attempt gave up may still be applied: the attempt leaves the files that it lists.
func TestACheckpointThatIsAppliedLateKeepsItsFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, handle(exporter), bubble)
		id := d.submit(t, "shop.order", order{})
		apply := d.late(t, `"checkpoint":{"inline":2}`)
		if out := d.Execute(t.Context(), d.take()[0].msg); out.Verdict != functions.Drop {
			t.Errorf("outcome %v (%v), want drop: the lease ran out", out.Verdict, out.Err)
		}
		apply()
		d.fsck(t)
		time.Sleep(time.Hour)
		d.sweep(t)
		d.drain(t)
		time.Sleep(time.Hour)
		d.sweep(t)
		d.drain(t)
		if i := d.get(t, id); i.State != store.Succeeded || i.Attempt != 2 {
			t.Fatalf("state %s after %d attempts (%s), want succeeded after 2", i.State, i.Attempt, i.Error)
		}
		if got := d.output(t, id, "data.txt"); got != "step 1\nstep 2\n" {
			t.Errorf("output %q, want both steps", got)
		}
		d.fsck(t)
		if files := d.files(t); len(files) != 1 {
			t.Errorf("files %v, want the joined output alone", files)
		}
	})
}
