package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

// plan is what a job does: the arguments of all kinds.
type plan struct {
	N      int      `json:"n"` // the submission's number, which is its tag too
	Kind   string   `json:"kind"`
	Steps  int      `json:"steps"`
	StepMS int64    `json:"step_ms"`
	Save   int      `json:"save,omitempty"`   // a checkpoint after so many steps
	Go     int      `json:"go,omitempty"`     // Continue after so many steps
	Snooze int      `json:"snooze,omitempty"` // so many times
	Ends   []string `json:"ends,omitempty"`   // how the first attempts end; the later ones do as they should
	Skip   bool     `json:"skip,omitempty"`
	Deaf   bool     `json:"deaf,omitempty"` // it does not hear that it is cancelled
	Files  bool     `json:"files,omitempty"`
	Pad    string   `json:"pad,omitempty"` // makes arguments, checkpoint and result too large for the record
}

// product is the result of all kinds.
type product struct {
	N     int    `json:"n"`
	Steps int    `json:"steps"`
	Run   int    `json:"run"` // which of all runs of handlers made it
	Pad   string `json:"pad,omitempty"`
}

// saved is the checkpoint of all kinds.
type saved struct {
	At  int    `json:"at"`
	Pad string `json:"pad,omitempty"`
}

func line(n, step int) string { return fmt.Sprintf("job %d step %d\n", n, step) }

// data is what data.txt holds in the end, whatever happened on the way.
func (p plan) data() string {
	var b strings.Builder
	for i := range p.Steps {
		b.WriteString(line(p.N, i))
	}
	return b.String()
}

// end is how an attempt is to end.
func (p plan) end(attempt int) string {
	if attempt <= len(p.Ends) {
		return p.Ends[attempt-1]
	}
	return ""
}

// work is a step's time. It gives way to a cancellation unless the plan is deaf.
func work(ctx context.Context, c *co, p plan, d int64) error {
	for left := d; ; left -= 1000 {
		if err := c.sleep(context.Background(), min(max(left, 0), 1000)); err != nil {
			return err
		}
		c.w.oracle.goesOn(c)
		if ctx.Err() != nil && !p.Deaf {
			return context.Cause(ctx)
		}
		if left <= 1000 {
			return nil
		}
	}
}

// handle is the handler of all kinds.
func (p *proc) handle(ctx context.Context, job *functions.Job[plan]) (product, error) {
	a, c := job.Args, of(ctx)
	ctx = p.w.mutantContext(ctx)
	c.handler, c.runs = ctx, job.ID
	defer func() { c.returned = true }()
	run := p.w.oracle.started(c, job)
	var at saved
	if _, err := job.LoadCheckpoint(ctx, &at); err != nil {
		return product{}, err
	}
	p.w.oracle.loaded(c, job, at.At)
	if p.w.oracle.snoozes(a, job.ID) {
		return product{}, functions.Snooze(time.Duration(1+a.N%7) * time.Second)
	}
	var out *functions.Output
	if a.Files {
		var err error
		if out, err = job.Output(ctx, "data.txt"); err != nil {
			return product{}, err
		}
	}
	if err := p.steps(ctx, c, job, out, &at); err != nil {
		return product{}, err
	}
	if a.Skip {
		return product{}, functions.Skip("nothing to do")
	}
	if a.Files {
		who, err := job.Output(ctx, "who.txt")
		if err != nil {
			return product{}, err
		}
		if _, err := fmt.Fprintf(who, "%d", run); err != nil {
			return product{}, err
		}
	}
	p.w.oracle.returned(run)
	return product{N: a.N, Steps: a.Steps, Run: run, Pad: a.Pad}, nil
}

// steps does what is left to do.
func (p *proc) steps(ctx context.Context, c *co, job *functions.Job[plan], out io.Writer, at *saved) error {
	a := job.Args
	at.Pad = a.Pad
	for done := 0; at.At < a.Steps; {
		if err := work(ctx, c, a, a.StepMS); err != nil {
			return err
		}
		if at.At == a.Steps/2 {
			if err := p.fail(ctx, c, a, a.end(job.Attempt)); err != nil {
				return err
			}
		}
		if a.Files {
			if _, err := io.WriteString(out, line(a.N, at.At)); err != nil {
				return err
			}
		}
		at.At++
		done++
		job.Progress(int64(at.At), int64(a.Steps), "")
		if a.Save > 0 && at.At%a.Save == 0 {
			if err := p.save(ctx, c, job, *at); err != nil {
				return err
			}
		}
		if at.At < a.Steps && (a.Go > 0 && done >= a.Go || job.DeadlineNear()) {
			return functions.Continue(*at)
		}
	}
	return nil
}

// save saves a checkpoint. Some handlers do not wait for long for the store's answer, and go on without this one.
func (p *proc) save(ctx context.Context, c *co, job *functions.Job[plan], at saved) error {
	hasty := job.Args.N%2 == 1
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if hasty {
		c.hasty = cancel
	}
	c.asked = p.w.now
	err := job.Checkpoint(ctx, at)
	c.hasty, c.asked = nil, 0
	switch {
	case err == nil:
		p.w.oracle.checkpointed(c, job.ID, at.At)
	case hasty && !c.dead() && !errors.Is(err, functions.ErrLeaseLost):
		return nil
	}
	return err
}

// fail ends an attempt as the plan says; nil lets it go on.
func (p *proc) fail(ctx context.Context, c *co, a plan, how string) error {
	c.how = how
	switch how = p.w.mutantError(how); how {
	case "error":
		return errors.New("no luck")
	case "bytes":
		return errors.New("no luck: \xff\xfe")
	case "panic":
		panic("no luck at all")
	case "after":
		return functions.RetryAfter(retryAfter*ms, errors.New("later"))
	case "permanent":
		return functions.Permanent(errors.New("never"))
	case "slow":
		return work(ctx, c, a, 45_000)
	case "poison":
		p.w.crash(p)
		return errDead
	}
	return nil
}

// hook is the end hook of all kinds: an effect like any other.
func (p *proc) hook(ctx context.Context, job functions.Info) error {
	w := p.w
	op, c := effectOp("hook", job.ID), of(ctx)
	if m := w.oracle.jobs[job.ID]; m != nil && w.mutant == "outbox-of-another-end" {
		c.told = map[string]string{job.ID: ""}
		if r := m.job.Requeued; r != "" {
			c.told[job.ID] = `"requeued":"` + r + `",`
		}
	}
	switch fate := w.Before(ctx, op); fate.How {
	case fault.Fine:
	case fault.Late:
		if err := w.Wait(ctx, op, func() {}); err != nil {
			return err
		}
	default:
		return errors.New("fault: the hook failed")
	}
	w.oracle.hooked(job)
	w.After(ctx, op)
	return nil
}

// limits are a kind's limits, for the oracle: attempts, errors, timeouts, lost attempts; 0 is none.
func (p plan) limits() store.Policy {
	switch p.Kind {
	case "sim.a":
		return store.Policy{MaxAttempts: 4, MaxLost: 3}
	case "sim.b":
		return store.Policy{MaxAttempts: 3, MaxErrors: 2, MaxLost: 2}
	default:
		return store.Policy{MaxErrors: 3, MaxTimeouts: 2, MaxLost: 5}
	}
}
