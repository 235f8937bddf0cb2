package functions_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

func TestJobSucceedsWithResultAndOutput(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "shop.order", func(ctx context.Context, job *functions.Job[order]) (order, error) {
		w, err := job.Output(ctx, "receipt.txt")
		if err != nil {
			return order{}, err
		}
		if _, err := io.WriteString(w, job.Args.Item); err != nil {
			return order{}, err
		}
		return order{job.Args.Item, job.Args.Count * 2}, w.Close()
	})
	d := newDesk(t, reg)
	r, err := d.Client().Submit(t.Context(), "shop.order", order{"tea", 3})
	if err != nil {
		t.Fatal(err)
	}
	d.drain(t)
	i := d.get(t, r.ID)
	got, err := resultOf[order](i)
	if err != nil || got != (order{"tea", 6}) {
		t.Fatalf("result %+v, error %v, of %+v", got, err, i)
	}
	f, _, err := d.Client().OpenOutput(t.Context(), r.ID, "receipt.txt", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "tea" {
		t.Fatalf("output %q, error %v", b, err)
	}
}

func TestJobRetriesAndSucceedsAtTheFourteenthAttempt(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "flaky", func(_ context.Context, job *functions.Job[struct{}]) (int, error) {
		if job.Attempt < 14 {
			return 0, errors.New("not yet")
		}
		return job.Attempt, nil
	}, functions.MaxAttempts(14))
	d := newDesk(t, reg)
	r, err := d.Client().Submit(t.Context(), "flaky", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		d.drain(t)
		d.advance(11 * time.Minute)
		d.sweep(t)
	}
	i := d.get(t, r.ID)
	if n, err := resultOf[int](i); err != nil || n != 14 {
		t.Fatalf("result %d, error %v, of %+v", n, err, i)
	}
	if len(i.Attempts) != store.MaxAttemptsKept {
		t.Errorf("%d attempts kept", len(i.Attempts))
	}
}

func TestContinueGoesOnFromItsCheckpointAndOutput(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "long", func(ctx context.Context, job *functions.Job[struct{}]) (int, error) {
		var step int
		if _, err := job.LoadCheckpoint(ctx, &step); err != nil {
			return 0, err
		}
		w, err := job.Output(ctx, "steps.txt")
		if err != nil {
			return 0, err
		}
		if _, err := io.WriteString(w, string(rune('a'+step))); err != nil {
			return 0, err
		}
		if step < 5 {
			return 0, functions.Continue(step + 1)
		}
		return job.Attempt, nil
	})
	d := newDesk(t, reg)
	r, err := d.Client().Submit(t.Context(), "long", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	d.drain(t)
	i := d.get(t, r.ID)
	if n, err := resultOf[int](i); err != nil || n != 1 {
		t.Fatalf("attempts %d, error %v, of %+v", n, err, i)
	}
	f, info, err := d.Client().OpenOutput(t.Context(), r.ID, "steps.txt", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "abcdef" || info.SHA256 == "" {
		t.Fatalf("output %q, error %v, info %+v", b, err, info)
	}
}

// A job is counted as cancelled once, however often it is cancelled.
func TestACancelledJobIsCountedOnce(t *testing.T) {
	d := newDesk(t, handle(echoing))
	id := d.submit(t, "shop.order", order{}, functions.Held())
	for range 3 {
		if i, err := d.Client().Cancel(t.Context(), id, "no longer wanted"); err != nil || i.State != store.Cancelled {
			t.Fatalf("cancel: state %s, error %v, want cancelled", i.State, err)
		}
		d.advance(time.Second)
	}
	if n := d.Stats().Cancelled.Load(); n != 1 {
		t.Errorf("%d jobs counted as cancelled, want 1", n)
	}
}
