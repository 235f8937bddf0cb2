package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

// scenario is a small story that is told again and again, each time with other faults or in another order.
type scenario struct {
	name    string
	climate climate
	acts    []act
	workers int
	// ends are the states in which its jobs may end, whatever goes wrong.
	ends []store.State
	// until is for how long it goes on after everything has ended, in milliseconds.
	until int64
}

// act is what a user does, once when holds.
type act struct {
	when func(w *world) bool
	do   func(w *world, p *proc)
}

// stage makes the world of a scenario, in which nothing is left to chance.
func (s scenario) stage(mutant string) *world {
	w := bare(s.climate, mutant)
	w.decide = func(*co, fault.Op) decision { return decision{} }
	w.rand = func(c *co) uint64 {
		c.draws++
		return mix(c.key, c.draws)
	}
	for range max(s.workers, 1) {
		w.admit(&proc{w: w, kinds: allKinds, newer: true})
	}
	w.nextSw = w.now + sweepEvery
	return w
}

// alive returns a process that lives, a new one if there is none.
func (w *world) alive(n int) *proc {
	var able []*proc
	for _, p := range w.procs {
		if !p.dead {
			able = append(able, p)
		}
	}
	if len(able) == 0 {
		p := &proc{w: w, kinds: allKinds, newer: true}
		w.admit(p)
		return p
	}
	return able[n%len(able)]
}

// tell plays a scenario in order: each coroutine that can go on does, in the order of their coming.
func (s scenario) tell(w *world) {
	s.follow(w, func([]*co) int { return 0 }, func() bool { return false })
	if !w.oracle.broken() {
		w.inspect()
	}
}

// follow plays a scenario; choose picks who goes on, stop ends it early.
func (s scenario) follow(w *world, choose func([]*co) int, stop func() bool) {
	acts, rest, last := s.acts, int64(0), w.now
	for !w.oracle.broken() && !stop() {
		if w.now > began+3_600_000 {
			w.late()
			return
		}
		w.ring()
		var able []*co
		for _, c := range w.cos {
			if c.ready() {
				able = append(able, c)
			}
		}
		switch {
		case len(acts) > 0 && acts[0].when(w):
			acts[0].do(w, w.alive(0))
			acts, last = acts[1:], w.now
		case w.arriveNext():
		case w.deliverNext():
		case w.now >= w.nextSw:
			w.nextSw = w.now + sweepEvery
			p := w.alive(1)
			w.spawn(p, "sweep", func(ctx context.Context, _ *co) { _, _ = p.rt.Sweep(ctx, functions.SweepRequest{}) })
			w.sweeps++
		case len(able) > 0:
			w.run(able[choose(able)])
		case len(acts) > 0 && w.oracle.quiet() && w.now > last+300_000:
			acts, last = acts[1:], w.now // what it waits for does not come: a fault was in the way
		case w.oracle.quiet() && len(acts) == 0 && rest == 0:
			rest = w.now + s.until
		case w.oracle.quiet() && len(acts) == 0 && w.now >= rest && len(w.msgs) == 0:
			return
		default:
			w.pass()
		}
	}
}

// deliverNext delivers the first message that has arrived.
func (w *world) deliverNext() bool {
	for i, m := range w.msgs {
		if m.ready <= w.now {
			m := w.take(i)
			w.execute(w.alive(int(w.lastDeliver)), []message{m})
			w.lastDeliver++
			return true
		}
	}
	return false
}

func atOnce(*world) bool { return true }

// inState waits until some job is in a state.
func inState(s store.State) func(*world) bool {
	return func(w *world) bool {
		for _, m := range w.oracle.jobs {
			if m.job.State == s {
				return true
			}
		}
		return false
	}
}

// idle is when, and no coroutine does anything.
func idle(when func(*world) bool) func(*world) bool {
	return func(w *world) bool { return len(w.cos) == 0 && when(w) }
}

// submits is the act of submitting a plan.
func submits(when func(*world) bool, p plan, opts ...functions.SubmitOption) act {
	return act{when, func(w *world, pr *proc) {
		w.users.last++
		p.N = w.users.last
		if p.Kind == "" {
			p.Kind = "sim.a"
		}
		w.oracle.plans[p.N] = p
		op := &userOp{verb: "submit", numbers: []int{p.N}, made: map[int]string{}}
		opts := append([]functions.SubmitOption{functions.Tags(fmt.Sprintf("n%d", p.N))}, opts...)
		w.spawn(pr, "submit", func(ctx context.Context, c *co) {
			c.op = op
			r, err := pr.rt.Client().Submit(ctx, p.Kind, p, opts...)
			if !c.dead() {
				w.oracle.submitted(op, p.N, r, err)
			}
		}).op = op
	}}
}

// keyed is the act of submitting a plan under a key; again is the same submission once more.
func keyed(when func(*world) bool, p plan) act {
	return act{when, func(w *world, pr *proc) {
		p.N, p.Kind = 1, "sim.a"
		w.oracle.plans[p.N] = p
		op := &userOp{verb: "submit", numbers: []int{p.N}, made: map[int]string{}}
		w.spawn(pr, "submit", func(ctx context.Context, c *co) {
			c.op = op
			r, err := pr.rt.Client().Submit(ctx, p.Kind, p, functions.Tags("n1"), functions.Key("k"))
			if !c.dead() {
				w.oracle.submittedKeyed(c, p.N, r, err)
			}
		}).op = op
	}}
}

// does is the act of doing something to the first job.
func does(when func(*world) bool, verb string) act {
	return act{when, func(w *world, p *proc) {
		if len(w.users.ids) == 0 {
			return // its submission came to nothing
		}
		id, client := w.users.ids[0], p.rt.Client()
		w.act(p, verb, id, func(ctx context.Context) (err error) {
			switch verb {
			case "cancel":
				_, err = client.Cancel(ctx, id, "")
			case "retry":
				_, err = client.Retry(ctx, id)
			case "release":
				_, err = client.Release(ctx, id)
			}
			return err
		})
	}}
}

var (
	ended   = []store.State{store.Succeeded}
	mayFail = []store.State{store.Succeeded, store.Failed}
)

// scenarios are the paths through the house.
var scenarios = []scenario{
	{name: "plain", acts: []act{submits(atOnce, plan{})}, ends: ended},
	{name: "files", acts: []act{submits(atOnce, plan{Steps: 1, Files: true})}, ends: ended},
	{name: "large", acts: []act{submits(atOnce, plan{Steps: 1, Save: 1, Pad: strings.Repeat("x", store.MaxInline)})}, ends: ended},
	{name: "retry", acts: []act{submits(atOnce, plan{Steps: 2, Files: true, Ends: []string{"error"}})}, ends: ended},
	{name: "continue", acts: []act{submits(atOnce, plan{Steps: 2, Files: true, Go: 1})}, ends: ended},
	{name: "checkpoint", acts: []act{submits(atOnce, plan{Steps: 3, StepMS: 4000, Save: 1, Files: true})}, ends: ended},
	{name: "snooze", acts: []act{submits(atOnce, plan{Snooze: 1})}, ends: ended},
	{name: "delayed", acts: []act{submits(atOnce, plan{}, functions.After(15*time.Second))}, ends: ended},
	{name: "held", acts: []act{submits(atOnce, plan{}, functions.Held()), does(inState(store.Held), "release"), does(idle(inState(store.Held)), "release")}, ends: ended},
	{
		name: "cancel waiting", ends: []store.State{store.Cancelled, store.Succeeded},
		acts: []act{submits(atOnce, plan{}, functions.After(15*time.Second)), does(inState(store.Scheduled), "cancel")},
	},
	{
		name: "cancel running", ends: []store.State{store.Cancelled, store.Succeeded},
		acts: []act{submits(atOnce, plan{Steps: 2, StepMS: 5000, Files: true}), does(inState(store.Running), "cancel")},
	},
	{
		name: "fail and retry by hand", ends: mayFail,
		acts: []act{
			submits(atOnce, plan{Steps: 2, Save: 1, Files: true, Ends: []string{"permanent"}}),
			does(inState(store.Failed), "retry"),
		},
	},
	{name: "keyed", acts: []act{keyed(atOnce, plan{}), keyed(atOnce, plan{})}, ends: ended},
	{name: "hook", climate: climate{Hooks: true}, acts: []act{submits(atOnce, plan{})}, ends: ended},
	{
		name: "fail", ends: []store.State{store.Failed},
		acts: []act{submits(atOnce, plan{Steps: 2, Save: 1, Files: true, Ends: always("permanent")})},
	},
	{name: "poison", acts: []act{submits(atOnce, plan{Steps: 1, Ends: always("poison")})}, ends: []store.State{store.Failed}},
	{
		name: "retention", climate: climate{Short: true}, until: 120_000, ends: ended,
		acts: []act{submits(atOnce, plan{Steps: 1, Files: true, Ends: []string{"error"}})},
	},
	{
		name: "keyed again after retention", climate: climate{Short: true}, ends: ended,
		acts: []act{keyed(atOnce, large), keyed(removed, large)},
	},
	{
		name: "keyed again after its expiry", climate: climate{Short: true, Expiry: true}, ends: ended,
		acts: []act{keyed(atOnce, plan{}), keyed(expired, plan{})},
	},
	{
		name: "retried by hand before its expiry", climate: climate{Short: true, Expiry: true}, ends: mayFail,
		acts: []act{
			submits(atOnce, plan{Steps: 2, Ends: []string{"permanent"}}),
			does(inState(store.Failed), "retry"),
		},
	},
}

var large = plan{Pad: strings.Repeat("x", store.MaxInline)}

// always ends all attempts in the same way.
func always(how string) []string { return []string{how, how, how, how} }

// removed waits until a job is gone.
func removed(w *world) bool {
	for _, m := range w.oracle.jobs {
		if m.removed {
			return true
		}
	}
	return false
}

// expired waits until a job counts as removed, and is still there.
func expired(w *world) bool {
	for _, m := range w.oracle.jobs {
		if !m.removed && w.oracle.away(m) {
			return true
		}
	}
	return false
}

// judge checks the ends of a scenario's jobs.
func (s scenario) judge(w *world) {
	for _, m := range w.oracle.sorted() {
		if !m.removed && !slices.Contains(s.ends, m.job.State) {
			w.violatef("end", "job %d ended as %s, want one of %v: %s", m.n, m.job.State, s.ends, m.job.Error)
		}
		if s.until > 0 && !m.removed {
			w.violatef("end", "job %d is still there", m.n)
		}
	}
}

// mix makes a number of two.
func mix(a, b uint64) uint64 {
	x := a ^ b*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
