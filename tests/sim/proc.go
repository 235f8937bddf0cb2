package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

const ms = time.Millisecond

// proc is a process: a runtime with a clock of its own, until it crashes.
type proc struct {
	id      int
	w       *world
	rt      *functions.Runtime
	skew    int64
	kinds   []string
	newer   bool  // its version is one ahead
	retired bool  // it gets no new work
	dead    bool  // it has crashed
	frozen  int64 // it stands still until then
	busy    int   // coroutines that execute
}

// allKinds are those that there are.
var allKinds = []string{"sim.a", "sim.b", "sim.c"}

// kindOptions are their options.
func (w *world) kindOptions(kind string) []functions.KindOption {
	keep := 15 * time.Minute // which is longer than any zombie lives
	if w.cfg.Short {
		keep = 25 * time.Second
	}
	return map[string][]functions.KindOption{"sim.a": {
		functions.MaxAttempts(4), functions.MaxLost(3), functions.Timeout(30 * time.Second),
		functions.Retries(functions.Exponential(time.Second, 15*time.Second)), functions.Retention(keep),
	},
		"sim.b": {
			functions.MaxAttempts(3), functions.MaxErrors(2), functions.MaxLost(2), functions.Timeout(0),
			functions.Retries(functions.Constant(2 * time.Second)), functions.Retention(0), functions.Queue("slow"),
		},
		"sim.c": {
			functions.MaxAttempts(functions.Unlimited), functions.MaxErrors(3), functions.MaxTimeouts(2), functions.MaxLost(5),
			functions.Timeout(20 * time.Second), functions.Retries(functions.Constant(0)), functions.Retention(keep),
		}}[kind]
}

// start starts a process with what the climate gives it.
func (w *world) start() {
	p := &proc{w: w, kinds: allKinds}
	if w.cfg.Skew > 0 {
		p.skew = w.rng.Int64N(2*w.cfg.Skew+1) - w.cfg.Skew
	}
	if w.cfg.Mixed && !w.tamed && w.rng.IntN(2) == 0 {
		p.kinds = []string{allKinds[w.rng.IntN(3)]}
	}
	p.newer = w.tamed || w.rng.IntN(2) == 0
	w.admit(p)
}

// admit gives a process its number and its runtime.
func (w *world) admit(p *proc) {
	w.lastPro++
	p.id = w.lastPro
	p.skew += w.mutantSkew()
	s, err := store.New(w.coll, &store.Options{
		MaxRecord: w.cfg.Record,
		Timing:    w.timing, Patience: 5 * time.Second, Rand: p.random, Pause: p.pause, TTL: w.ttl(), Now: p.clock,
	})
	if err != nil {
		panic(err)
	}
	blobs := blobout.New(w.bucket, &blobout.Options{Parallel: 1})
	p.rt, err = functions.New(p.registry(), functions.Backends{Store: s, Queue: sender{p}, Blobs: blobs}, functions.Config{
		MeterProvider: noop.NewMeterProvider(), // otel's own would keep each runtime that crashed
		Worker:        fmt.Sprintf("p%d", p.id), CancelPoll: 3 * time.Second, Margin: 2 * time.Second, StopGrace: time.Hour, HookTimeout: time.Hour,
		InlineLists: w.cfg.Inline,
		Parallel:    1, JoinLimit: w.cfg.Join, Log: w.logger(), Now: p.clock, Rand: p.random,
	})
	if err != nil {
		panic(err)
	}
	w.procs = append(w.procs, p)
	w.eventf("process %d starts, clock off by %d ms, kinds %v, newer %v", p.id, p.skew, p.kinds, p.newer)
}

// logger is for a runtime: its lines are told among the events, which they are not.
func (w *world) logger() *slog.Logger {
	if w.log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Int64(a.Key, w.now-began)
		}
		return a
	}}))
}

// registry has the kinds of the process.
func (p *proc) registry() *functions.Registry {
	reg := functions.NewRegistry()
	for _, k := range allKinds {
		if slices.Contains(p.kinds, k) {
			functions.Handle(reg, k, p.handle, p.w.kindOptions(k)...)
		} else {
			functions.Kind[plan, product](k, p.w.kindOptions(k)...).Declare(reg)
		}
	}
	if p.w.cfg.Hooks {
		reg.OnEnd(p.hook)
	}
	return reg
}

func (p *proc) clock() time.Time { return time.UnixMilli(p.w.now + p.skew).UTC() }

func (p *proc) random() uint64 {
	if p.dead || p.w.running == nil {
		return 1
	}
	return p.w.mutantRandom(p.w.rand(p.w.running))
}

// pause is how the store waits between tries.
func (p *proc) pause(ctx context.Context, d time.Duration) error {
	c := of(ctx)
	if c == nil {
		return errDead
	}
	return c.sleep(ctx, d.Milliseconds())
}

// crash stops a process where it is.
func (w *world) crash(p *proc) {
	if !p.dead {
		p.dead = true
		w.faultf("process %d crashes", p.id)
	}
}

// shutDown ends a process in order: it takes no more work, and what runs is told to stop.
func (w *world) shutDown(p *proc) {
	w.eventf("process %d shuts down", p.id)
	p.retired = true
	p.rt.Drain()
	for _, c := range w.cos {
		if c.p == p && c.handler != nil && c.cancel != nil && !c.dead() {
			c.cancel()
			for c.handler.Err() == nil && c.attempt.Stopped() == nil { // what tells the attempt runs in a goroutine of its own
				runtime.Gosched()
			}
			_ = c.attempt.Stopped() // that goroutine holds the attempt's lock until all contexts are cancelled
		}
	}
}

// pickProc returns a process that can take work, or nil.
func (w *world) pickProc() *proc {
	var able []*proc
	for _, p := range w.procs {
		if !p.dead && !p.retired && p.frozen <= w.now {
			able = append(able, p)
		}
	}
	if len(able) == 0 {
		return nil
	}
	return able[w.rng.IntN(len(able))]
}

// sweep starts a sweep in some process.
func (w *world) sweep() {
	w.nextSw = w.now + sweepEvery
	p := w.pickProc()
	if p == nil || w.mutant == "no-sweep" {
		return
	}
	var req functions.SweepRequest
	again := false
	if !w.tamed {
		switch w.rng.IntN(6) {
		case 0:
			req.Limit = 1 + w.rng.IntN(3)
			again = w.rng.IntN(2) == 0
		case 1:
			req.Part, req.Parts = w.rng.IntN(2), 2
		case 2:
			w.spawn(p, "recover", func(ctx context.Context, _ *co) { _, _ = p.rt.Recover(ctx) })
			return
		}
	}
	w.spawn(p, "sweep", func(ctx context.Context, c *co) {
		r, err := p.rt.Sweep(ctx, req)
		for again && err == nil && r.More && !c.dead() {
			req.From = r.Next
			r, err = p.rt.Sweep(ctx, req)
		}
		w.oracle.swept(c)
	})
}
