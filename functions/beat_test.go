package functions_test

import (
	"context"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
)

// What follows an attempt's end may take longer than its time limit. Nobody must be asked for heartbeats meanwhile.
func TestAnAttemptThatHasEndedWantsNoHeartbeat(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "quick", func(context.Context, *functions.Job[struct{}]) (int, error) { return 1, nil },
		functions.Timeout(time.Minute))
	d := newDesk(t, reg)
	r, err := d.Client().Submit(t.Context(), "quick", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	a := d.Claim(t.Context(), pubsubq.Message{ID: r.ID})[0].Attempt
	if out := a.Run(t.Context()); out.Err != nil {
		t.Fatal(out.Err)
	}
	d.now = d.now.Add(2 * time.Minute)
	if next := a.Beat(t.Context()); !next.After(d.now) {
		t.Errorf("the next heartbeat is wanted %v ago", d.now.Sub(next))
	}
}
