package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/piecework/piecework/functions"
)

// co is a coroutine: a goroutine, and those that it waits for, that run only while they have the token. They give it
// back at every effect, so that one goroutine of a world runs at any time and the seed alone decides which.
type co struct {
	id      int
	name    string
	p       *proc
	w       *world
	resume  chan struct{}
	wake    int64           // it need not run before
	waits   context.Context // it runs also when this ends; nil: only then
	killAt  int64           // the platform ends it then; 0: never
	killed  bool
	ended   bool
	next    decision // what the effect under way still has in store
	op      *userOp  // of a user's coroutine
	effects int      // how many it has had
	claim   *co      // of one that runs an attempt: that which claimed it
	beside  *co      // of a heartbeat: that which runs the attempt

	since    int64  // when it began
	trouble  bool   // it has met a fault
	runs     string // the job that its handler runs
	attempt  *functions.Attempt
	returned bool              // its handler has returned
	how      string            // the error that its handler returned
	asked    int64             // when the heartbeat or checkpoint under way was asked for; 0: there is none
	debts    map[string]string // of sweep: the last write of jobs whose messages it must send

	told     map[string]string // for a mutant: which end of a job its hook was called for
	seenLast map[string][]byte // for a mutant: records as they were read last
	listed   string            // for a mutant: the job whose blobs were listed just before
	relook   string            // for a mutant: the job whose record is read after its blobs were listed

	cancel  context.CancelFunc // of one that runs an attempt: what a shutdown calls
	handler context.Context    // the context of its handler, once that runs
	hasty   context.CancelFunc // called at the first fault; nil: none
	key     uint64             // names it whatever the order of events
	births  uint64             // coroutines that it has started
	draws   uint64             // random numbers that it was given in a scenario
	seen    uint64             // a sum over all that it has seen, for the exhaustive search
}

// errDead is what a process that has crashed gets for every effect, until all of its code has returned. None of them
// is applied, so it looks like a process that stopped where it was.
var errDead = errors.New("the process has crashed")

type coKey struct{}

// of returns the coroutine on whose behalf ctx is, or nil for the oracle.
func of(ctx context.Context) *co {
	c, _ := ctx.Value(coKey{}).(*co)
	return c
}

// spawn starts a coroutine in a process. It first runs when the scheduler gives it the token.
func (w *world) spawn(p *proc, name string, body func(ctx context.Context, c *co)) *co {
	w.lastCo++
	c := &co{id: w.lastCo, name: name, p: p, w: w, resume: make(chan struct{}), wake: w.now, since: w.now}
	w.cos = append(w.cos, c)
	if by := w.running; by != nil {
		by.births++
		c.key = mix(by.key, by.births)
	} else {
		w.births++
		c.key = mix(1, w.births)
	}
	ctx := context.WithValue(context.Background(), coKey{}, c)
	onStack(func() {
		<-c.resume
		defer func() {
			if r := recover(); r != nil {
				w.violatef("panic", "%s of process %d: %v\n%s", c.name, p.id, r, debug.Stack())
			}
			c.ended = true
			w.back <- struct{}{}
		}()
		if !c.dead() {
			body(ctx, c)
		}
	})
	return c
}

// stacks are goroutines that have nothing to do. Their stacks have grown to what a coroutine needs.
var stacks = make(chan chan func(), 1000)

// onStack runs f on a goroutine that ran another before, or on a new one.
func onStack(f func()) {
	select {
	case s := <-stacks:
		s <- f
		return
	default:
	}
	s := make(chan func(), 1)
	s <- f
	go func() {
		for f := range s {
			f()
			select {
			case stacks <- s:
			default:
				return
			}
		}
	}()
}

// dead reports whether its process has crashed, or the platform has ended it.
func (c *co) dead() bool { return c.killed || c.p.dead }

// yield gives the token back until the scheduler returns it, not before wake.
func (c *co) yield(wake int64) {
	if c.dead() {
		return
	}
	c.wake = wake
	c.w.back <- struct{}{}
	<-c.resume
}

// await is yield that also returns when ctx has ended.
func (c *co) await(ctx context.Context, wake int64) {
	c.waits = ctx
	c.yield(wake)
	c.waits = nil
}

// ready reports whether it can run now.
func (c *co) ready() bool {
	return c.p.frozen <= c.w.now && (c.wake <= c.w.now || c.waits != nil && c.waits.Err() != nil)
}

// sleep lets time pass, and reports errDead if the process crashed meanwhile, or why ctx has ended.
func (c *co) sleep(ctx context.Context, ms int64) error {
	c.await(ctx, c.w.now+ms)
	if c.dead() {
		return errDead
	}
	return context.Cause(ctx)
}

// run gives a coroutine the token until it gives it back.
func (w *world) run(c *co) {
	w.running = c
	c.resume <- struct{}{}
	<-w.back
	w.running = nil
	if c.ended {
		w.forget(c)
	}
	w.bury()
}

// forget drops a coroutine that has ended.
func (w *world) forget(c *co) {
	for i, o := range w.cos {
		if o == c {
			w.cos = append(w.cos[:i], w.cos[i+1:]...)
			return
		}
	}
}

// bury lets the coroutines of crashed processes run to their ends: no effect of theirs is applied any more.
func (w *world) bury() {
	for {
		var c *co
		for _, o := range w.cos {
			if o.dead() {
				c = o
				break
			}
		}
		if c == nil {
			return
		}
		for rounds := 0; !c.ended; rounds++ {
			if rounds > 1000 {
				panic(fmt.Sprintf("coroutine %s does not end though its process has crashed", c.name))
			}
			c.resume <- struct{}{}
			<-w.back
		}
		w.forget(c)
	}
}
