package kit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/localdev/kit/internal/tripwire"
	"github.com/piecework/piecework/store"
)

// Torture runs the handlers of a registry on some jobs: first undisturbed, and then again from the
// start for each disturbance. At each write of the worker (a claim, a checkpoint, a file, the end
// of the job, a message) the worker
//
//   - dies before the write,
//   - dies after the write, before it learns its outcome,
//   - or freezes until its lease has run out and another worker has done the job, and then
//     continues.
//
// In one more run every message arrives twice. Each time the jobs must end as in the undisturbed
// run: in the same state, with the same result and the same files, byte for byte, and with one
// success each. The test fails once for each difference, with a likely cause and the disturbances
// after which it is found, such as "death after checkpoint 2 of job 0 (write 7)". Give such a name
// to [Only] to repeat it alone.
//
// What handlers keep in memory survives a death here, unlike in production. A handler that uses
// other systems needs fakes that keep their state.
func Torture(t testing.TB, jobs *functions.Registry, subs []functions.Submission, opts ...Option) {
	t.Helper()
	tt := &torture{t: t, jobs: jobs, subs: subs, opts: newOptions(opts)}
	want, effects := tt.run("", func(int, string) tripwire.Fate { return tripwire.Pass })
	for i, o := range want {
		if !o.Done {
			t.Fatalf("job %d does not end in the undisturbed run:\n%s", i, o.History)
		}
	}
	tried, found := 0, findings{}
	for _, d := range tt.disturbances(effects) {
		if tt.opts.only != "" && tt.opts.only != d.name {
			continue
		}
		tried++
		got, _ := tt.run(d.name, d.trip(tt))
		for i := range want {
			for _, difference := range want[i].differences(got[i]) {
				found.add(fmt.Sprintf("job %d (%s): %s", i, subs[i].Kind, difference.text), difference.cause, d.name)
			}
		}
	}
	for _, f := range found.list {
		t.Errorf("%s", f)
	}
	if tried == 0 {
		t.Fatalf("Only(%q): no disturbance has this name", tt.opts.only)
	}
}

// torture is one call of Torture.
type torture struct {
	t    testing.TB
	jobs *functions.Registry
	subs []functions.Submission
	opts options

	desk   *desk             // of the current run
	client *functions.Client // of no worker, so that it survives
}

// runner is a worker of a run.
type runner struct {
	rt    *functions.Runtime
	store *store.Store
}

// disturbance is a fault in one run.
type disturbance struct {
	name string
	trip func(*torture) func(n int, what string) tripwire.Fate
}

const twice = "every message twice"

// disturbances lists the disturbances of a run with these writes.
func (tt *torture) disturbances(effects []string) []disturbance {
	list := []disturbance{{twice, func(*torture) func(int, string) tripwire.Fate { return pass }}}
	step := max(1, (len(effects)+tt.opts.points-1)/max(tt.opts.points, 1))
	for at := 1; at <= len(effects); at += step {
		add := func(name string, act func(*torture) tripwire.Fate) {
			list = append(list, disturbance{fmt.Sprintf("%s %s (write %d)", name, effects[at-1], at), func(tt *torture) func(int, string) tripwire.Fate {
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

// run runs the jobs from the start. It returns their endings and the writes of the worker.
func (tt *torture) run(name string, trip func(int, string) tripwire.Fate) ([]ending, []string) {
	tt.t.Helper()
	var err error
	if tt.desk, err = newDesk(tt.opts); err != nil {
		tt.t.Fatalf("kit: %v", err)
	}
	defer tt.desk.close()

	tt.client = tt.worker("client", nil).rt.Client()
	subs := slices.Clone(tt.subs)
	for i, s := range subs { // the clock moves on while jobs end, and their records must stay
		subs[i].Options = append(slices.Clone(s.Options), functions.Retention(365*24*time.Hour))
	}
	receipts, err := tt.client.SubmitMany(context.Background(), subs)
	if err != nil {
		tt.t.Fatalf("kit: torture: %v", err)
	}
	var effects []string
	names := make([]string, 0, 2*len(receipts))
	for i, r := range receipts {
		names = append(names, r.ID, fmt.Sprintf("job %d", i))
	}
	named := strings.NewReplacer(names...)
	wire := &tripwire.Wire{Trip: func(n int, what string) tripwire.Fate {
		effects = append(effects, named.Replace(what))
		return trip(n, what)
	}}
	tt.work(tt.worker("first", wire), wire, name == twice)
	tt.takeOver() // the rest that a dead or frozen worker left
	endings := make([]ending, len(receipts))
	for i, r := range receipts {
		endings[i] = endingOf(tt.client, r.ID)
	}
	return endings, effects
}

// worker makes a runtime over the state of the current run.
func (tt *torture) worker(name string, wire *tripwire.Wire) *runner {
	tt.t.Helper()
	rt, st, err := tt.desk.runtime(tt.jobs, name, wire)
	if err != nil {
		tt.t.Fatalf("kit: %v", err)
	}
	return &runner{rt, st}
}

// work runs jobs and moves the clock until nothing is due within a week, or the worker is dead.
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
				tt.execute(ctx, out.Attempt)
			}
			continue
		}
		if _, err := w.rt.Sweep(ctx, functions.SweepRequest{}); err != nil && !wire.Dead() {
			tt.t.Fatalf("kit: torture: sweep: %v", err)
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
	tt.t.Fatalf("kit: torture: the jobs do not end")
}

// execute runs an attempt.
func (tt *torture) execute(ctx context.Context, a *functions.Attempt) {
	var info functions.Info
	timeout := func() time.Duration {
		info, _ = tt.client.Get(ctx, a.ID()) // from memory
		return time.Duration(info.Limits.Timeout)
	}
	if late := runInTime(func() { a.Run(ctx) }, timeout); late != "" {
		tt.t.Fatalf("kit: torture: %s:\n%s", late, History(info))
	}
}

// takeOver moves the clock until every lease has run out, and lets another worker do the rest.
func (tt *torture) takeOver() {
	timing := localdev.Timing()
	tt.desk.move(tt.desk.now().Add(timing.Lease + timing.Skew + time.Second))
	w := tt.worker("second", nil)
	if _, err := w.rt.Recover(context.Background()); err != nil {
		tt.t.Fatalf("kit: torture: %v", err)
	}
	tt.work(w, nil, false)
}
