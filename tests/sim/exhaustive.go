package main

import (
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

// The search plays a small world in every order of its effects, and with every choice of up to so many faults. A run
// is a path of choices; the next run changes the last choice that has another option. Where a run comes to a state
// that was seen before, with as many faults left, it ends: what can follow was looked at then.

// small are the worlds that are searched.
var small = []struct {
	scenario

	faults int
}{
	{scenario{
		name: "two jobs, two workers", workers: 2, ends: []store.State{store.Succeeded},
		acts: []act{together(submits(atOnce, plan{}), submits(atOnce, plan{}))},
	}, 2},
	{scenario{
		name: "one job delivered twice, cancelled while it runs", workers: 2,
		ends: []store.State{store.Succeeded, store.Cancelled},
		acts: []act{
			submits(atOnce, plan{Steps: 1, StepMS: 10, Files: true}),
			together(does(inState(store.Running), "cancel"), twice),
		},
	}, 1},
	{scenario{
		name: "retried by hand while its files are removed", workers: 2, ends: []store.State{store.Succeeded, store.Failed},
		acts: []act{
			submits(atOnce, plan{Steps: 2, Save: 1, Files: true, Ends: []string{"permanent"}}),
			does(inState(store.Failed), "retry"),
		},
	}, 1},
	{scenario{
		name: "submitted again under its key while it is removed", workers: 2, climate: climate{Short: true},
		ends: []store.State{store.Succeeded}, acts: []act{keyed(atOnce, large), keyed(dueForRemoval, large)},
	}, 1},
	{scenario{
		name: "submitted again by two under its key when it has expired", workers: 2, climate: climate{Short: true, Expiry: true},
		ends: []store.State{store.Succeeded}, acts: []act{keyed(atOnce, plan{}), together(keyed(expired, plan{}), keyed(atOnce, plan{}))},
	}, 1},
}

// twice delivers the message of the first job once more.
var twice = act{atOnce, func(w *world, _ *proc) { w.msgs = append(w.msgs, message{hint: w.users.ids[0], ready: w.now}) }}

// together lets the user do several things at once, when the first may be done.
func together(first act, more ...act) act {
	return act{first.when, func(w *world, _ *proc) {
		for i, a := range append([]act{first}, more...) {
			a.do(w, w.alive(i))
		}
	}}
}

// dueForRemoval waits until the retention of a job has passed, and lets sweep come at that moment.
func dueForRemoval(w *world) bool {
	for _, m := range w.oracle.jobs {
		if m.job.State.Final() && len(m.job.Outbox) == 0 && int64(m.job.Due) <= w.now {
			w.nextSw = w.now
			return true
		}
	}
	return false
}

// explore searches all small worlds; switches bounds how often one coroutine may be interrupted by another.
func explore(out io.Writer, switches, workers int) bool {
	start, clean := time.Now(), true
	var states, runs int
	var mu sync.Mutex
	each(uint64(len(small)), 0, workers, func(n uint64) {
		s, told := small[n], &strings.Builder{}
		e := &search{scenario: s.scenario, faults: s.faults, switches: switches, visited: map[uint64]bool{}}
		e.all(told)
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintf(out, "%s%-52s %d faults, %d switches: %7d states, %7d runs, %d violations\n",
			told, s.name, s.faults, switches, len(e.visited), e.runs, e.violations)
		states, runs, clean = states+len(e.visited), runs+e.runs, clean && e.violations == 0
	})
	_, _ = fmt.Fprintf(out, "sim: %d small worlds, %d states explored in %d runs, %.1f s, clean: %v\n",
		len(small), states, runs, time.Since(start).Seconds(), clean)
	return clean
}

// search is the search of one small world.
type search struct {
	scenario

	faults, switches int
	visited          map[uint64]bool
	runs, violations int

	path, options []int // the choices of the run under way, and how many options each had
	at            int
	w             *world
	faultsLeft    int
	switchesLeft  int
	last          *co
	known         bool // the run has come to a state that was seen before
}

// maxRuns bounds a search that was given too much.
const maxRuns = 400_000

// all plays all runs.
func (e *search) all(out io.Writer) {
	for e.runs < maxRuns {
		e.one(out)
		for len(e.path) > 0 && e.path[len(e.path)-1]+1 == e.options[len(e.options)-1] {
			e.path, e.options = e.path[:len(e.path)-1], e.options[:len(e.options)-1]
		}
		if len(e.path) == 0 {
			return
		}
		e.path[len(e.path)-1]++
	}
	_, _ = fmt.Fprintf(out, "%s: the search was cut after %d runs\n", e.name, maxRuns)
}

// one plays the run of the path, and on from its end with the first option of each choice.
func (e *search) one(out io.Writer) {
	e.runs++
	w := e.stage("")
	e.w, e.at, e.faultsLeft, e.switchesLeft, e.last, e.known = w, 0, e.faults, e.switches, nil, false
	w.decide, w.glance = e.decide, e.glance
	e.follow(w, e.next, func() bool { return e.known })
	if end := e.state("end"); !e.known && !w.oracle.broken() && !e.visited[end] {
		e.visited[end] = true
		w.inspect()
		e.judge(w)
	}
	w.close()
	if w.oracle.broken() {
		e.violations++
		if e.violations <= 3 {
			_, _ = fmt.Fprintf(out, "%s, path %v: %v\n", e.name, e.path, w.oracle.found)
		}
	}
}

// pick makes a choice: the path's, or a new one.
func (e *search) pick(n int, what string) int {
	if n < 2 || e.known {
		return 0
	}
	if e.at == len(e.path) {
		state := e.state(what)
		if e.visited[state] {
			e.known = true
			return 0
		}
		e.visited[state] = true
		e.path, e.options = append(e.path, 0), append(e.options, n)
	}
	e.at++
	return e.path[e.at-1]
}

// next picks who goes on. The one that ran last may; to put another in its place is a switch.
func (e *search) next(able []*co) int {
	stay := -1
	for i, c := range able {
		if c.name == "beat" && c.births+c.draws+c.seen == 0 && c.wake == e.w.now {
			return i // a new heartbeat has nothing to do but to wait
		}
		if c == e.last {
			stay = i
		}
	}
	n := len(able)
	if stay >= 0 { // the first option is that it stays
		able[0], able[stay] = able[stay], able[0]
		if e.switchesLeft == 0 {
			n = 1
		}
	}
	i := e.pick(n, "who")
	if stay >= 0 && i > 0 {
		e.switchesLeft--
	}
	e.last = able[i]
	return i
}

// decide picks the fate of an effect.
func (e *search) decide(c *co, op fault.Op) decision {
	if e.faultsLeft == 0 || op.Verb == "query" {
		return decision{}
	}
	fates := []decision{
		{}, {fate: fault.Fate{How: fault.Refused}}, {crashBefore: true}, {slow: 15_000},
		{fate: fault.Fate{How: fault.Lost}}, {crashAfter: true},
	}
	if !op.Writes() {
		fates = fates[:4]
	}
	i := e.pick(len(fates), fmt.Sprintf("fate of %x %v", c.key, op))
	if i > 0 {
		e.faultsLeft--
	}
	return fates[i]
}

// glance sums up what an effect can see.
func (e *search) glance(op fault.Op) uint64 {
	h := fnv.New64a()
	switch {
	case op.Layer == "blobs":
		for _, k := range e.w.blobs.Keys() {
			_, _ = io.WriteString(h, k)
		}
	case op.Verb == "query":
		for _, id := range e.w.docs.IDs() {
			_, _ = h.Write(e.w.docs.Get(id)["data"].([]byte))
		}
	default:
		for id := range strings.FieldsSeq(op.Key) {
			if doc := e.w.docs.Get(id); doc != nil {
				_, _ = h.Write(doc["data"].([]byte))
			}
		}
	}
	return h.Sum64()
}

// state sums up all that what follows can depend on.
func (e *search) state(what string) uint64 {
	w := e.w
	h := fnv.New64a()
	put := func(s string) { _, _ = io.WriteString(h, s) }
	put(what)
	_, _ = fmt.Fprint(h, w.now, e.faultsLeft, e.switchesLeft, w.nextSw, w.births, w.lastDeliver)
	for _, id := range w.docs.IDs() {
		put(id)
		_, _ = h.Write(w.docs.Get(id)["data"].([]byte))
	}
	for _, k := range w.blobs.Keys() {
		put(k)
	}
	for _, m := range w.msgs {
		_, _ = fmt.Fprint(h, m.hint, m.ready)
	}
	all := uint64(0) // in any order
	for _, c := range w.cos {
		all += mix(mix(c.key, c.seen), uint64(c.wake)+uint64(c.p.id))
	}
	if e.last != nil && e.switches > 0 {
		all = mix(all, e.last.key)
	}
	for _, p := range w.procs {
		if p.dead {
			all += mix(uint64(p.id), 3)
		}
	}
	_, _ = fmt.Fprint(h, all)
	return h.Sum64()
}

// sum makes a number of a text.
func sum(s string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, s)
	return h.Sum64()
}
