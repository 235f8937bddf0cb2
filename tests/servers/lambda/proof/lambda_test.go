package proof

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

// seed decides who is killed when.
const seed = 2026

func TestLambda(t *testing.T) {
	c := newCloud(t)
	begun := time.Now()
	all := jobs(t)
	chaos := func(share float64, within time.Duration) runtimeapi.Chaos {
		return runtimeapi.Chaos{Seed: seed, Share: share, Within: within, Lost: share / 2}
	}
	execute := c.deploy("execute", runtimeapi.Config{Timeout: timeout, Limit: 7, Chaos: chaos(0.08, time.Second)})
	submit := c.deploy("submit", runtimeapi.Config{Timeout: 5 * time.Second, Limit: 2, Chaos: chaos(0.08, 100*time.Millisecond)})
	sweep := c.deploy("sweep", runtimeapi.Config{Timeout: 20 * time.Second, Limit: 2, Chaos: chaos(0.1, 200*time.Millisecond)})
	api := c.deploy("api", runtimeapi.Config{Timeout: 10 * time.Second, Limit: 4, Chaos: chaos(0.05, 100*time.Millisecond)}, "PIECEWORK_TOKENS=operator:"+token)
	fns := []*runtimeapi.Function{execute, submit, sweep, api}

	defaults, stopDefault := c.feed("default", execute, 4)
	files, stopFiles := c.feed("files", execute, 3)
	submits, stopSubmit := c.feed("submit", submit, 2)
	stopSweeps := c.every(2*time.Second, sweep)
	recycling := inBackground(t, func(ctx context.Context) {
		for pause(ctx, 5*time.Second) == nil {
			for _, f := range fns {
				f.Recycle(ctx)
			}
		}
	})
	c.submitAll(all, c.ask(api, false))
	t.Logf("submitted after %.0f s", time.Since(begun).Seconds())

	infos := c.found(t)
	until(t, time.Minute, "every submission is a job", func() bool { infos = c.found(t); return len(infos) >= len(all) })
	until(t, 4*time.Minute, "every job has ended", func() bool {
		open := 0
		for n, info := range infos {
			if !info.Done() {
				if infos[n], _ = c.client.Get(t.Context(), info.ID); !infos[n].Done() && all[n].way != byProgram {
					open++
				}
			}
		}
		return open == 0
	})
	t.Logf("all ended after %.0f s", time.Since(begun).Seconds())

	var foreign []string
	for n, j := range all {
		if j.way == byProgram {
			foreign = append(foreign, infos[n].ID)
		}
	}
	var dead []string // a job may have two messages there: sweep sends another hint after a while
	until(t, 2*time.Minute, "the messages of jobs that nobody runs are in the dead-letter queue, and no others are left", func() bool {
		dead = append(dead, c.dead("default")...)
		missing := slices.ContainsFunc(foreign, func(id string) bool { return !slices.Contains(dead, id) })
		return !missing && c.waiting("files") == 0 && c.waiting("submit") == 0
	})
	for _, stop := range []func(){stopDefault, stopFiles, stopSubmit, stopSweeps, recycling} {
		stop()
	}
	for done := false; !done; { // what killed environments have left to be done
		swept, err := c.sweep(t.Context(), sweep)
		done = err == nil && swept.Looked-swept.Resent == 0
	}
	f := c.checkAll(all)
	report := c.checkStored(len(all))
	dead = append(dead, append(c.dead("default"), c.dead("files")...)...)
	for _, id := range slices.Compact(sorted(dead)) { // chaos may end each receive of a hint; sweep sends another
		if state := c.state(id); !slices.Contains(foreign, id) && state == store.Queued {
			t.Errorf("job %s, whose message is in a dead-letter queue, is queued, want it ended: sweep sends another message", id)
		}
	}
	if got := c.dead("submit"); len(got) > 0 {
		t.Errorf("the dead-letter queue of submit holds %v, want it empty", got)
	}
	total := sum(fns)
	if total.Kills == 0 || total.Timeouts == 0 || total.Exits == 0 || total.Shutdowns == 0 || f.lost == 0 || f.continued == 0 {
		t.Errorf("there was not trouble enough to learn from: %+v, %+v", total, f)
	}
	for name, s := range map[string]any{"execute": execute.Stats(), "submit": submit.Stats(), "sweep": sweep.Stats(), "api": api.Stats(),
		"queue default": defaults.Stats(), "queue files": files.Stats(), "queue submit": submits.Stats()} {
		t.Logf("%s: %+v", name, s)
	}
	fmt.Printf("Lambda: %d jobs, 0 lost, %d attempts (%d lost; %d continuations), %d invocations in %d environments; ended by chaos %d, timeout %d, their jobs %d; "+
		"%d shutdowns (%d forced); stored: %v, %d parked, %d blobs, %d problems; dead letters %d; %.0f s, seed %d\n",
		len(all), f.attempts, f.lost, f.continued, total.Invocations, total.Cold, total.Kills, total.Timeouts, total.Exits,
		total.Shutdowns, total.Forced, report.ByState, report.Parked, report.Blobs, len(report.Problems), len(foreign), time.Since(begun).Seconds(), seed)
}

// checkAll looks at every job once more, and at the runs that wrote to the ledger.
func (c *cloud) checkAll(all []job) figures {
	t := c.t
	t.Helper()
	ledger, err := c.ledger.Read()
	if err != nil {
		t.Fatal(err)
	}
	var f figures
	infos := c.found(t)
	if len(infos) != len(all) {
		t.Errorf("%d jobs, want %d", len(infos), len(all))
	}
	for n, j := range all {
		info, err := c.client.Get(t.Context(), infos[n].ID)
		if err != nil {
			t.Errorf("job %d: %v", n, err)
			continue
		}
		if j.state == store.Queued && info.State == store.Queued { // in the hands of nobody
			continue
		}
		c.check(j, info, ledger[info.ID], &f)
	}
	return f
}

func sum(fns []*runtimeapi.Function) runtimeapi.Stats {
	var total runtimeapi.Stats
	for _, f := range fns {
		s := f.Stats()
		total.Invocations += s.Invocations
		total.Cold += s.Cold
		total.Timeouts += s.Timeouts
		total.Kills += s.Kills
		total.Exits += s.Exits
		total.Shutdowns += s.Shutdowns
		total.Forced += s.Forced
	}
	return total
}

func sorted(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}
