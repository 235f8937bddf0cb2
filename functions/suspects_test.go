package functions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// crew is a deployment of one process at a time, which one of its jobs kills. It claims all that it
// gets at once, as a worker does.
type crew struct {
	*desk
	wait  []pubsubq.Message // to be given back
	takes int               // claims that were refused for suspicion
}

// round claims all messages, runs "save" and "good" for a while, and dies if "bad" is among them:
// what it claimed is lost. Otherwise what it claimed ends. A "save" job saves a checkpoint before
// its process dies.
func (c *crew) round(t *testing.T) {
	t.Helper()
	msgs := c.wait
	c.wait = nil
	for _, s := range c.take() {
		msgs = append(msgs, s.msg)
	}
	var attempts []*functions.Attempt
	killed := false
	for i, r := range c.Claim(t.Context(), msgs...) {
		switch {
		case r.Attempt != nil:
			attempts = append(attempts, r.Attempt)
			killed = killed || c.get(t, r.Attempt.ID()).Kind == "bad"
		case errors.Is(r.Outcome.Err, store.ErrSuspect):
			if c.takes++; r.Outcome.Verdict != functions.Retry || r.Outcome.After < 5*time.Second || r.Outcome.After > time.Minute {
				t.Errorf("outcome %v after %v, want the message to come again after some seconds", r.Outcome.Verdict, r.Outcome.After)
			}
			c.wait = append(c.wait, msgs[i])
		}
	}
	if !killed {
		for _, a := range attempts {
			a.Execute(t.Context())
		}
		c.advance(5 * time.Second)
		return
	}
	for _, a := range attempts {
		i := c.get(t, a.ID())
		if i.Kind != "save" {
			continue
		}
		j, err := c.store.Get(t.Context(), a.ID())
		if err != nil {
			t.Fatal(err)
		}
		p := store.Payload{Inline: []byte(`1`)}
		if _, err := c.store.Heartbeat(t.Context(), j, store.Heartbeat{Token: j.Lease.Token, Now: store.At(c.clock()), Checkpoint: &p, Saved: j.Saved + 1}); err != nil {
			t.Fatal(err)
		}
	}
	c.restart(t)
	c.advance(3 * time.Minute)
	c.sweep(t)
	c.advance(time.Minute)
	c.sweep(t)
}

// restart makes a fresh runtime, as another process would.
func (c *crew) restart(t *testing.T) {
	t.Helper()
	rt, err := functions.New(c.Registry(), functions.Backends{Store: c.store, Queue: c.desk, Blobs: c.blobs}, c.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	c.Runtime = rt
}

// A job that kills its worker fails alone: the jobs that ran beside it succeed, whether they save
// checkpoints or not.
func TestAJobThatKillsItsWorkerFailsAlone(t *testing.T) {
	reg := functions.NewRegistry()
	fine := func(context.Context, *functions.Job[order]) (order, error) { return order{}, nil }
	for _, kind := range []string{"save", "good", "bad"} {
		functions.Handle(reg, kind, fine, functions.Retries(functions.Constant(0)))
	}
	for _, kind := range []string{"save", "good"} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprint(kind, ", bad first: ", first), func(t *testing.T) {
				c := &crew{desk: newDesk(t, reg)}
				var ids []string
				for range 10 {
					ids = append(ids, c.submit(t, kind, order{}))
				}
				bad := c.submit(t, "bad", order{})
				if first {
					slices.Reverse(c.queue)
				}
				for n := 0; !c.get(t, bad).Done() || slices.ContainsFunc(ids, func(id string) bool { return !c.get(t, id).Done() }); n++ {
					if n == 100 {
						t.Fatal("they do not end within 100 rounds")
					}
					c.round(t)
				}
				if i := c.get(t, bad); i.State != store.Failed || i.Attempt != functions.DefaultMaxLost {
					t.Errorf("bad: state %s after %d attempts, want failed after %d", i.State, i.Attempt, functions.DefaultMaxLost)
				}
				for _, id := range ids {
					if i := c.get(t, id); i.State != store.Succeeded {
						t.Errorf("%s: state %s after %d attempts (%s), want succeeded", kind, i.State, i.Attempt, i.Error)
					}
				}
				if kind == "save" && c.takes != 0 {
					t.Errorf("%d claims of jobs that get on were refused, want none", c.takes)
				}
			})
		}
	}
}

// The room for a job on its last chance is free again when its attempt has ended, and when a claim
// did not win.
func TestTheRoomForASuspectIsGivenBack(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "a", func(context.Context, *functions.Job[order]) (order, error) { return order{}, nil },
		functions.MaxLost(2), functions.Retries(functions.Constant(0)))
	c := &crew{desk: newDesk(t, reg)}
	var msgs []pubsubq.Message
	for range 3 {
		c.submit(t, "a", order{})
		msgs = append(msgs, c.take()[0].msg)
	}
	c.Claim(t.Context(), msgs...)
	c.restart(t)
	c.advance(3 * time.Minute)
	c.sweep(t)
	got := c.Claim(t.Context(), msgs...)
	if got[0].Attempt == nil || !errors.Is(got[1].Outcome.Err, store.ErrSuspect) || !errors.Is(got[2].Outcome.Err, store.ErrSuspect) {
		t.Fatalf("outcomes %v, %v, %v; want an attempt and two refusals", got[0].Outcome, got[1].Outcome, got[2].Outcome)
	}
	i := c.get(t, msgs[1].ID)
	if i.State != store.Queued || i.Attempt != 1 || !strings.Contains(i.Waiting, "workers were lost with it") {
		t.Errorf("state %s, attempt %d, waits %q; want it queued as it was, with the reason", i.State, i.Attempt, i.Waiting)
	}
	c.advance(30 * time.Second)
	if again := c.Claim(t.Context(), msgs[1])[0]; again.Outcome.After != 30*time.Second {
		t.Errorf("it comes again after %v, want 30s: as long as the other has run", again.Outcome.After)
	}
	got[0].Attempt.Execute(t.Context())
	c.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if acts[0].Kind == driver.Get {
			return next(ctx, acts)
		}
		return driver.ActionListError{{Index: -1, Err: errors.New("no route to host")}}
	}
	if r := c.Claim(t.Context(), msgs[1])[0]; r.Attempt != nil || errors.Is(r.Outcome.Err, store.ErrSuspect) {
		t.Fatalf("outcome %v, want that the store is away", r.Outcome.Err)
	}
	c.storeWorks()
	for _, m := range msgs[1:] {
		r := c.Claim(t.Context(), m)[0]
		if r.Attempt == nil {
			t.Fatalf("outcome %v, want an attempt: the room is free", r.Outcome.Err)
		}
		r.Attempt.Execute(t.Context())
	}
}
