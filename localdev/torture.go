package localdev

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/internal/tripwire"
	"github.com/piecework/piecework/store"
)

// defaultPoints is how many effects of the undisturbed run are tried.
const defaultPoints = 200

// Points is how many points of the undisturbed run Torture disturbs at most; of more it takes some, evenly. Default
// 200.
func Points(n int) KitOption { return func(o *kitOptions) { o.points = n } }

// Only makes Torture try one disturbance, as it named it: to look into a difference.
func Only(disturbance string) KitOption { return func(o *kitOptions) { o.only = disturbance } }

// Torture runs the handlers of a registry on some jobs: first undisturbed, and then again and again from the start,
// each time with one disturbance. At each thing that the worker writes (a claim, a checkpoint, a file, the end of the
// job, a message) it
//
//   - dies before it is written,
//   - dies after it is written, but before it learns so,
//   - or freezes until its lease has run out and another worker has done the job, and then goes on;
//
// and once every message comes twice. Each time the jobs must end as they did in the undisturbed run: in the same
// state, with the same result and the same files, byte for byte, and with one success each. The test fails with a
// line for each difference, which names the disturbance; give that to [Only] to see it alone.
//
// What handlers keep in memory outlives a death here, which in production it does not. A handler that touches other
// systems should find them as they are in the test: fakes that keep their state.
func Torture(t testing.TB, jobs *functions.Registry, subs []functions.Submission, opts ...KitOption) {
	t.Helper()
	tt := &torture{t: t, jobs: jobs, subs: subs, opts: newKitOptions(opts)}
	want, effects := tt.run("", func(int, string) tripwire.Fate { return tripwire.Pass })
	for i, o := range want {
		if !o.Done {
			t.Fatalf("undisturbed, job %d does not end:\n%s", i, o.History)
		}
	}
	tried := 0
	for _, d := range tt.disturbances(effects) {
		if tt.opts.only != "" && tt.opts.only != d.name {
			continue
		}
		tried++
		got, _ := tt.run(d.name, d.trip(tt))
		for i := range want {
			for _, difference := range want[i].differences(got[i]) {
				t.Errorf("%s: job %d (%s): %s", d.name, i, subs[i].Kind, difference)
			}
		}
	}
	if tried == 0 {
		t.Fatalf("Only(%q): there is no such disturbance", tt.opts.only)
	}
}

// torture is one call of Torture.
type torture struct {
	t    testing.TB
	jobs *functions.Registry
	subs []functions.Submission
	opts kitOptions

	desk *desk // of the present run

}

// runner is a worker of a run.
type runner struct {
	rt    *functions.Runtime
	store *store.Store
}

// disturbance is what goes wrong in one run.
type disturbance struct {
	name string
	trip func(*torture) func(n int, what string) tripwire.Fate
}

const twice = "every message twice"

// disturbances lists what is tried, for a run with these effects.
func (tt *torture) disturbances(effects []string) []disturbance {
	list := []disturbance{{twice, func(*torture) func(int, string) tripwire.Fate { return pass }}}
	step := max(1, (len(effects)+tt.opts.points-1)/max(tt.opts.points, 1))
	for at := 1; at <= len(effects); at += step {
		add := func(name string, act func(*torture) tripwire.Fate) {
			list = append(list, disturbance{fmt.Sprintf("%s effect %d (%s)", name, at, effects[at-1]), func(tt *torture) func(int, string) tripwire.Fate {
				done := false
				return func(n int, _ string) tripwire.Fate {
					if n != at || done {
						return tripwire.Pass
					}
					done = true
					return act(tt)
				}
			}})
		}
		add("death before", func(*torture) tripwire.Fate { return tripwire.DieBefore })
		add("death after", func(*torture) tripwire.Fate { return tripwire.DieAfter })
		add("lease lost before", func(tt *torture) tripwire.Fate {
			tt.takeOver()
			return tripwire.Pass
		})
	}
	return list
}

func pass(int, string) tripwire.Fate { return tripwire.Pass }

// run runs the jobs from the start. It returns how they ended, and the effects of the worker.
func (tt *torture) run(name string, trip func(int, string) tripwire.Fate) ([]ending, []string) {
	tt.t.Helper()
	var err error
	if tt.desk, err = newDesk(tt.opts); err != nil {
		tt.t.Fatalf("localdev: %v", err)
	}
	defer tt.desk.close()

	client := tt.worker("client", nil)
	receipts, err := client.rt.Client().SubmitMany(context.Background(), tt.subs)
	if err != nil {
		tt.t.Fatalf("localdev: torture: %v", err)
	}
	var effects []string
	wire := &tripwire.Wire{Trip: func(n int, what string) tripwire.Fate {
		effects = append(effects, what)
		return trip(n, what)
	}}
	tt.work(tt.worker("first", wire), wire, name == twice)
	tt.takeOver() // whatever a dead or frozen worker left
	endings := make([]ending, len(receipts))
	for i, r := range receipts {
		endings[i] = endingOf(client.rt.Client(), r.ID)
	}
	return endings, effects
}

// worker makes a runtime over the state of the present run.
func (tt *torture) worker(name string, wire *tripwire.Wire) *runner {
	tt.t.Helper()
	rt, st, err := tt.desk.runtime(tt.jobs, name, wire)
	if err != nil {
		tt.t.Fatalf("localdev: %v", err)
	}
	return &runner{rt, st}
}

// work runs what there is to run, moving the clock, until nothing is due within a week, or the worker is dead.
func (tt *torture) work(w *runner, wire *tripwire.Wire, twice bool) {
	ctx := context.Background()
	limit := tt.desk.now().Add(7 * 24 * time.Hour)
	for range drainLimit {
		if wire.Dead() {
			return
		}
		if msg, ok := tt.desk.next(); ok {
			out := w.rt.Claim(ctx, msg)[0]
			if twice {
				w.rt.Execute(ctx, msg)
			}
			if out.Attempt != nil {
				out.Attempt.Run(ctx)
			}
			continue
		}
		if _, err := w.rt.Sweep(ctx, functions.SweepRequest{}); err != nil && !wire.Dead() {
			tt.t.Fatalf("localdev: torture: sweep: %v", err)
		}
		if tt.desk.waiting() {
			continue
		}
		at, ok, err := tt.desk.event(ctx, w.store, limit)
		if err != nil || !ok {
			return
		}
		tt.desk.move(at)
	}
	tt.t.Fatalf("localdev: torture: the jobs do not end")
}

// takeOver lets time pass until every lease has run out, and another worker do what there is to do.
func (tt *torture) takeOver() {
	timing := Timing()
	tt.desk.move(tt.desk.now().Add(timing.Lease + timing.Skew + time.Second))
	w := tt.worker("second", nil)
	if _, err := w.rt.Recover(context.Background()); err != nil {
		tt.t.Fatalf("localdev: torture: %v", err)
	}
	tt.work(w, nil, false)
}

// ending is how a job ended.
type ending struct {
	Done      bool
	State     store.State
	Result    string
	Error     string
	Outputs   map[string]string
	Successes int
	History   string
}

func endingOf(c *functions.Client, id string) ending {
	ctx := context.Background()
	info, err := c.Get(ctx, id)
	if err != nil {
		return ending{Error: err.Error()}
	}
	e := ending{
		Done: info.Done(), State: info.State, Result: string(info.Result), Error: info.Error, Outputs: map[string]string{},
		History: History(info),
	}
	for _, a := range info.Attempts {
		if a.Outcome == store.OutcomeSuccess {
			e.Successes++
		}
	}
	for _, o := range info.Outputs {
		r, _, err := c.OpenOutput(ctx, id, o.Name, 0, -1)
		if err != nil {
			e.Outputs[o.Name] = "cannot be opened: " + err.Error()
			continue
		}
		data, err := io.ReadAll(r)
		_ = r.Close() // it was read
		if e.Outputs[o.Name] = string(data); err != nil {
			e.Outputs[o.Name] = "cannot be read: " + err.Error()
		}
	}
	return e
}

// differences tells what is not as it should be.
func (e ending) differences(got ending) []string {
	var all []string
	differ := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if e.State != got.State {
		differ("it is %s, undisturbed %s: %s", got.State, e.State, got.Error)
		return all
	}
	if e.Result != got.Result {
		differ("its result is %s, undisturbed %s", clip(got.Result), clip(e.Result))
	}
	if e.Successes != got.Successes {
		differ("it succeeded %d times, undisturbed %d", got.Successes, e.Successes)
	}
	var names []string
	for name := range e.Outputs {
		names = append(names, name)
	}
	for name := range got.Outputs {
		if _, ok := e.Outputs[name]; !ok {
			differ("it has an output %q, undisturbed none", name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if data, ok := got.Outputs[name]; !ok {
			differ("it has no output %q", name)
		} else if data != e.Outputs[name] {
			differ("its output %q differs from byte %d on, with %d bytes, undisturbed %d", name, common(data, e.Outputs[name]),
				len(data), len(e.Outputs[name]))
		}
	}
	return all
}

// common is how many bytes a and b have in common at their beginning.
func common(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
