package proof

import (
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

// A process that is told to end in the middle of an invocation hands its job back, with its checkpoint and without using
// an attempt, in the half second that Lambda leaves it; the job goes on elsewhere.
func TestSIGTERMHandsBack(t *testing.T) {
	c := newCloud(t)
	// The grace is for what follows the end of the job's attempt, and longer than Lambda's: a busy machine takes its time.
	execute := c.deploy("execute", runtimeapi.Config{Timeout: 60 * time.Second, Grace: 5 * time.Second})
	c.feed("default", execute, 2)
	ctx := t.Context()
	r, err := c.client.Submit(ctx, Long, Task{Number: 1, Steps: 24})
	if err != nil {
		t.Fatal(err)
	}
	get := func() functions.Info {
		info, err := c.client.Get(ctx, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	until(t, time.Minute, "the job has saved a checkpoint, which it does after its second step", func() bool {
		p := get().Progress
		return p != nil && p.Done > 2
	})
	if n := execute.Terminate(); n != 1 {
		t.Fatalf("%d environments were busy, want one", n)
	}
	var info functions.Info
	until(t, 10*time.Second, "the job is handed back", func() bool { info = get(); return len(info.Attempts) == 1 })
	if a := info.Attempts[0]; a.Outcome != store.OutcomeHandBack {
		t.Errorf("the attempt ended as %q, want it handed back\n%s", a.Outcome, kit.History(info))
	}
	if info, err = c.client.Wait(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	done, err := functions.Kind[any, Done](info.Kind).Result(info)
	if err != nil || done.Resumed != 1 || info.Attempt != 1 {
		t.Errorf("%+v, %v: want a result after it went on from its checkpoint once, at the first attempt\n%s", done, err, kit.History(info))
	}
	execute.Recycle(ctx) // while nothing runs
	if s := execute.Stats(); s.Forced > 0 || s.Shutdowns == 0 || s.Timeouts > 0 {
		t.Errorf("%+v, want environments that end when they are told to", s)
	}
	t.Logf("handed back and resumed: %s", kit.History(info))
}
