package lambda_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/piecework/piecework/functions"
)

// Messages of a group are handled one after the other; when one is given back, so are those behind
// it, unseen.
func TestGroupsOfAFIFOQueueKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []int
		reg := functions.NewRegistry()
		functions.Handle(reg, "note", func(_ context.Context, job *functions.Job[int]) (int, error) {
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			order = append(order, job.Args)
			return 0, nil
		})
		functions.Kind[int, int]("elsewhere").Declare(reg)
		w := newWorld(t, reg, functions.Config{})
		var records []events.SQSMessage
		for i, c := range []struct{ group, kind string }{
			{"a", "note"}, {"b", "note"}, {"a", "elsewhere"}, {"b", "note"}, {"a", "note"}, {"b", "note"}, {"a", "note"},
		} {
			records = append(records, record(fifoARN, c.group, hint(w.kit.Submit(c.kind, i))))
		}
		start := time.Now()
		failed, err := deliver(t.Context(), t, w.execute(t, w.options()), records)
		wantBack(t, failed, err, "m2", "m4", "m6")
		if d := w.hidden["m2"]; d < 5*time.Second || w.hidden["m4"] != d || w.hidden["m6"] != d || len(w.hidden) != 3 {
			t.Errorf("hidden: %v, want all of the group for as long as its first", w.hidden)
		}
		slices.Sort(order[:2]) // of two groups side by side, either may be first
		if !slices.Equal(order, []int{0, 1, 3, 5}) {
			t.Errorf("order %v", order)
		}
		if d := time.Since(start); d != 300*time.Millisecond {
			t.Errorf("three of one group took %v", d)
		}
		if len(w.outs) != 5 {
			t.Errorf("%d outcomes: those behind one that came back must not be touched", len(w.outs))
		}
	})
}

// Standard queues may have groups too, to be fair to tenants; they promise no order.
func TestGroupsOfAStandardQueueRunSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sleeper(), functions.Config{})
		var records []events.SQSMessage
		for range 5 {
			records = append(records, record(queueARN, "tenant", hint(w.kit.Submit("sleep", 1000))))
		}
		start := time.Now()
		failed, err := deliver(t.Context(), t, w.execute(t, nil), records)
		wantBack(t, failed, err)
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v", d)
		}
	})
}
