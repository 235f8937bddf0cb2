package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

// began is when every history begins, in unix milliseconds.
const began = 1_795_000_000_000

// world is one history: processes, what they keep and send, users, and an oracle that watches.
type world struct {
	seed   uint64
	rng    *rand.Rand
	reaper *rand.Rand // decides what the store deletes by itself, and when; nil: it never gets to it
	tides  *rand.Rand // decides what happens late, and what else came with generation 2; nil: nothing
	cfg    climate
	mutant string
	log    *strings.Builder // nil: not wanted

	now         int64
	back        chan struct{}
	cos         []*co
	running     *co
	lastCo      int
	births      uint64 // coroutines that no coroutine started
	lastDeliver int64
	procs       []*proc
	lastPro     int
	tamed       bool // faults have stopped
	tamedAt     int64

	docs   *fault.Docs
	blobs  *fault.Blobs
	coll   *docstore.Collection
	bucket *blob.Bucket
	timing store.Timing
	msgs   []message
	users  users
	oracle *oracle

	wire

	ambushed string // a job whose removal a sweep dawdles over

	decide func(c *co, op fault.Op) decision // what becomes of an effect
	rand   func(c *co) uint64                // for the code under test; c is who runs
	glance func(op fault.Op) uint64          // what an effect can see, as a number; nil: no one asks

	hash   uint64
	events int
	faults int
	sweeps int // after the faults stopped
	nextSw int64
}

// climate says what weather a world has. Each seed draws its own, so that some histories are all calm but for one
// kind of fault, and some are all storms.
type climate struct {
	Flavour   fault.Flavour
	Refuse    float64 // of effects: an error, nothing applied
	Lose      float64 // of writes: applied, and an error
	Crash     float64 // of effects: the process stops before or after it
	Slow      float64 // of effects: the answer takes its time
	Freeze    float64 // of steps: a process stands still for a while
	Drop      float64 // of messages: lost
	Double    float64 // of messages: delivered twice
	Lag       int64   // milliseconds by which queries are behind at most
	Skew      int64   // milliseconds by which clocks are off at most
	Procs     int
	Ops       int   // of users
	AtLeast   bool  // the queue delivers at least once
	Platform  int64 // milliseconds that the platform gives an invocation; 0: no limit
	Hooks     bool
	NewFormat bool  // newer processes write a format that older ones must not touch
	Mixed     bool  // some processes have not all kinds
	Retention bool  // go on until all that can go is gone
	Short     bool  // retention is so short that jobs go while others still run
	Join      int64 // bytes up to which outputs are joined; 0: all are
	Expiry    bool  // the store deletes by itself what has expired, some time after
	Lazy      int   // how seldom it does

	Late   float64 // of effects: they happen later, perhaps when their callers have given up
	Away   float64 // of steps: a store stops answering for a while
	Dawdle float64 // of sweeps that remove a job: they stop in the middle, and others remove it and make it again meanwhile
	Spite  float64 // of writes of attempts: the store stops answering with them
	Inline int     // bytes of a list of outputs or parts that a record holds itself; 0: as many as in production
	Record int     // bytes of the longest record; 0: as many as in production
	Busy   bool    // some jobs save many checkpoints
	Hang   float64 // of end hooks: they take up to forty seconds, or fail
}

// draw makes a climate.
func draw(rng *rand.Rand) climate {
	some := func(p float64) float64 { // often nothing, else up to p
		if rng.IntN(3) == 0 {
			return 0
		}
		return p * rng.Float64()
	}
	flip := func(n int) bool { return rng.IntN(n) == 0 }
	c := climate{
		Flavour: fault.Flavour(rng.IntN(4)), Refuse: some(0.06), Lose: some(0.12), Crash: some(0.012), Slow: some(0.02),
		Freeze: some(0.01), Drop: some(0.3), Double: some(0.4), Procs: 2 + rng.IntN(3), Ops: 8 + rng.IntN(22),
		AtLeast: flip(2), Hooks: flip(3), NewFormat: flip(3), Mixed: flip(2), Retention: flip(4),
		Short: flip(4),
	}
	if flip(3) {
		c.Join = 40
	}
	if c.Short {
		c.Ops *= 2
	}
	if flip(2) {
		c.Lag = int64(rng.IntN(4000))
	}
	if flip(2) {
		c.Skew = int64(rng.IntN(900))
	}
	if flip(3) {
		c.Platform = 8000 + int64(rng.IntN(30_000))
	}
	return c
}

// generation is the generation of the worlds that are played. A seed that once found something is played as it was then: what
// came later draws from a source of its own.
const generation = 2

// newWorld makes the world of a seed.
func newWorld(seed uint64, mutant string) *world { return newWorldOf(generation, seed, mutant) }

// newWorldOf makes the world that a seed had in a generation.
func newWorldOf(generation int, seed uint64, mutant string) *world {
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	reaper := rand.New(rand.NewPCG(seed, 0x243f6a8885a308d3))
	cfg := draw(rng)
	if cfg.Expiry = reaper.IntN(2) == 0; cfg.Expiry && !cfg.Short && reaper.IntN(2) == 0 {
		cfg.Short, cfg.Ops = true, 2*cfg.Ops // so that keys are used again, and jobs retried, while their records expire
	}
	cfg.Lazy = lazy(reaper)
	w := bare(cfg, mutant)
	w.seed, w.rng, w.reaper = seed, rng, reaper
	if generation > 1 {
		w.tides = rand.New(rand.NewPCG(seed, 0x13198a2e03707344))
		w.cfg.drawLater(w.tides)
	}
	w.decide = w.chaos
	w.rand = func(*co) uint64 { return rng.Uint64() }
	if rng.IntN(2) == 0 {
		w.timing.Native = 5000 * ms
	}
	for range w.cfg.Procs {
		w.start()
	}
	w.nextSw = w.now + sweepEvery/2
	w.users.left = w.cfg.Ops
	return w
}

// drawLater makes the part of a climate that came with generation 2.
func (c *climate) drawLater(rng *rand.Rand) {
	if rng.IntN(3) > 0 {
		c.Late = 0.03 * rng.Float64()
	}
	if rng.IntN(3) > 0 {
		c.Away = 0.01 * rng.Float64()
	}
	if rng.IntN(3) == 0 {
		c.Spite = 0.2 * rng.Float64()
	}
	if c.Short && rng.IntN(4) > 0 {
		c.Dawdle = 0.8
	}
	if rng.IntN(3) == 0 {
		c.Inline, c.Busy = 100+rng.IntN(900), true
	}
	if rng.IntN(6) == 0 {
		c.Record, c.Busy = 8000+rng.IntN(12_000), true
	}
	if rng.IntN(2) == 0 {
		c.Hooks, c.Hang = true, 0.7*rng.Float64()
	}
}

// bare makes an empty world.
func bare(cfg climate, mutant string) *world {
	w := &world{
		cfg: cfg, mutant: mutant, now: began, back: make(chan struct{}),
		timing: store.Timing{Lease: 10_000 * ms, Grace: 20_000 * ms, MaxGrace: 80_000 * ms, Skew: 2000 * ms},
	}
	w.away = map[string]int64{}
	w.oracle = newOracle(w)
	w.docs = &fault.Docs{
		Hook: w, Flavour: cfg.Flavour, Now: func() int64 { return w.now }, Lag: w.lag,
		Changed: w.oracle.changed, Rewrite: w.rewrite, Reread: w.reread,
	}
	w.blobs = &fault.Blobs{Hook: w, Stored: w.oracle.stored, Removed: w.oracle.dropped}
	w.mutate()
	w.coll = docstore.NewCollection(w.docs)
	w.bucket = blob.NewBucket(w.blobs)
	return w
}

// lag is how far a query is behind for a document.
func (w *world) lag(ctx context.Context, _ string) int64 {
	if w.mutant == "stale-reads" && of(ctx) != nil {
		return w.rng.Int64N(4000)
	}
	if c := of(ctx); w.cfg.Lag == 0 || w.tamed || c == nil {
		return 0
	}
	if w.rng.IntN(3) > 0 {
		return 0
	}
	return w.rng.Int64N(w.cfg.Lag + 1)
}

// sweepEvery is how many milliseconds lie between two sweeps.
const sweepEvery = 10_000

// stop says that the history has gone on long enough: users are done, or it has become very long.
const (
	chaosFor    = 240_000 // milliseconds
	chaosEvents = 4000
)

// play runs the history of a seed to its end.
func (w *world) play() {
	for !w.oracle.broken() && w.now < began+chaosFor && w.events < chaosEvents {
		if w.users.left == 0 && w.oracle.quiet() {
			break
		}
		w.step()
	}
	if !w.oracle.broken() {
		w.settle()
	}
	w.close()
}

// close ends what still runs, so that no goroutine is left, and takes the stores apart. A docstore.Collection has a
// finalizer. The collector never frees a cycle that contains an object with a finalizer, so the drivers must not lead
// back to the world.
func (w *world) close() {
	for _, p := range w.procs {
		p.dead = true
	}
	w.bury()
	_ = w.coll.Close()
	_ = w.bucket.Close()
	*w.docs, *w.blobs = fault.Docs{}, fault.Blobs{}
}

// step lets something happen.
func (w *world) step() {
	w.weather()
	w.goAway()
	w.ambush()
	w.ring()
	w.expire(w.cfg.Lazy)
	var choices []func()
	for _, c := range w.cos {
		if c.ready() {
			choices = append(choices, func() { w.run(c) })
		}
	}
	for _, h := range w.held {
		if h.at <= w.now {
			choices = append(choices, func() { w.arrive(h) })
		}
	}
	if w.now >= w.nextSw {
		choices = append(choices, w.sweep)
	}
	if w.users.left > 0 && !w.tamed && w.rng.IntN(6) == 0 && !w.awaitExpiry() {
		choices = append(choices, w.userActs)
	}
	if m := w.arrived(); m >= 0 {
		choices = append(choices, func() { w.deliver(m) })
	}
	if len(choices) == 0 {
		w.pass()
		return
	}
	w.now += int64(w.rng.IntN(20))
	choices[w.rng.IntN(len(choices))]()
}

// pass lets time pass until something can happen.
func (w *world) pass() {
	next := w.nextSw
	for _, c := range w.cos {
		next = min(next, max(c.wake, c.p.frozen))
	}
	for _, m := range w.msgs {
		next = min(next, m.ready)
	}
	for _, h := range w.held {
		next = min(next, h.at)
	}
	for _, a := range w.alarms {
		next = min(next, a.at)
	}
	if w.users.left > 0 && !w.tamed {
		next = min(next, w.now+int64(w.rng.IntN(2000)))
	}
	w.now = max(w.now+1, next)
}

// weather crashes, freezes and starts processes, and ends invocations whose time is up.
func (w *world) weather() {
	for _, c := range w.cos {
		if c.killAt != 0 && w.now >= c.killAt && !c.killed {
			c.killed = true
			c.troubled()
			w.eventf("the platform ends %s of process %d", c.name, c.p.id)
		}
	}
	w.bury()
	live := 0
	for _, p := range w.procs {
		if !p.dead && !p.retired {
			live++
		}
	}
	if live == 0 || live < w.cfg.Procs && w.rng.IntN(60) == 0 {
		w.start()
	}
	if w.tamed {
		return
	}
	if w.rng.Float64() < w.cfg.Freeze {
		w.freeze(w.procs[w.rng.IntN(len(w.procs))])
	}
	switch w.rng.IntN(3000) {
	case 0:
		if p := w.pickProc(); p != nil && w.cfg.Crash > 0 {
			w.crash(p)
			w.bury()
		}
	case 1, 2:
		if p := w.pickProc(); p != nil {
			w.shutDown(p)
		}
	}
}

// freeze stops a process for a while, if it lives.
func (w *world) freeze(p *proc) {
	if p.dead {
		return
	}
	p.frozen = w.now + w.rng.Int64N(40_000)
	w.faultf("process %d freezes for %d ms", p.id, p.frozen-w.now)
	for _, c := range w.cos {
		if c.p == p {
			c.troubled()
		}
	}
}

// eventf counts what happened, and puts it into the hash by which two runs are compared.
func (w *world) eventf(format string, args ...any) {
	w.events++
	text := fmt.Sprintf(format, args...)
	for i := range len(text) {
		w.hash = (w.hash ^ uint64(text[i])) * 1099511628211
	}
	w.hash = (w.hash ^ uint64(w.now)) * 1099511628211
	if w.log != nil {
		fmt.Fprintf(w.log, "%8d %s\n", w.now-began, text)
	}
}

// faultf is an event that is a fault.
func (w *world) faultf(format string, args ...any) {
	w.faults++
	w.eventf("FAULT "+format, args...)
}
