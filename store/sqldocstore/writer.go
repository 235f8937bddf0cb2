package sqldocstore

import (
	"context"
	"runtime"
	"sync"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"
)

// maxBatchBytes caps what one transaction carries.
const maxBatchBytes = 8 << 20

var errClosed = &outcome{gcerrors.FailedPrecondition, "the collection is closed"}

// request is what one caller asks the writer for: the writes of one action list.
type request struct {
	ctx     context.Context
	writes  []write
	actions []*driver.Action // parallel to writes; the writer does not look at them
	atomic  bool             // all or none
	err     error            // set by run: the caller stopped waiting
	done    chan struct{}    // gets one value when every write has its outcome
}

var requestPool = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

func newRequest(ctx context.Context, n int) *request {
	r := requestPool.Get().(*request)
	r.ctx = ctx
	if cap(r.writes) < n {
		r.writes = make([]write, 0, n)
		r.actions = make([]*driver.Action, 0, n)
	}
	return r
}

// release returns a request that the writer has finished with.
func (r *request) release() {
	clear(r.writes)
	clear(r.actions)
	*r = request{done: r.done, writes: r.writes[:0], actions: r.actions[:0]}
	requestPool.Put(r)
}

func (r *request) fail(err error) {
	for i := range r.writes {
		r.writes[i].err = err
	}
}

// groupWriter is the group commit: callers put their writes into a queue and wait,
// a few goroutines take whatever waits and commit it together. Nobody waits for a
// timer: a lone write is taken at once, and while a transaction runs, those that
// come meanwhile become the next one.
type groupWriter struct {
	commit    func([]*request)
	max       int  // writes in one transaction
	exclusive bool // no id twice in a transaction, nor in two at once

	mu       sync.Mutex
	arrived  sync.Cond
	queue    []*request
	inFlight map[string]struct{} // ids, if exclusive
	closed   bool
	running  sync.WaitGroup
}

func newGroupWriter(commit func([]*request), writers, limit int, exclusive bool) *groupWriter {
	g := &groupWriter{commit: commit, max: limit, exclusive: exclusive, inFlight: map[string]struct{}{}}
	g.arrived.L = &g.mu
	for range writers {
		g.running.Go(g.loop)
	}
	return g
}

// run has the requests committed and waits. A request whose context ends first gets
// its error in r.err; if the writer had taken it, it may still be applied.
func (g *groupWriter) run(ctx context.Context, reqs []*request) {
	if len(reqs) == 0 {
		return
	}
	if err := ctx.Err(); err != nil {
		for _, r := range reqs {
			r.err = err
		}
		return
	}
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		for _, r := range reqs {
			r.fail(errClosed)
		}
		return
	}
	g.queue = append(g.queue, reqs...)
	g.mu.Unlock()
	g.arrived.Signal()
	for _, r := range reqs {
		select {
		case <-r.done:
		case <-ctx.Done():
			r.err = ctx.Err()
		}
	}
}

func (g *groupWriter) loop() {
	var batch []*request
	for {
		batch = g.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		g.commit(batch)
		g.give(batch)
	}
}

// give tells the callers of a batch.
func (g *groupWriter) give(batch []*request) {
	if g.exclusive {
		g.mu.Lock()
		for _, r := range batch {
			for i := range r.writes {
				delete(g.inFlight, r.writes[i].id)
			}
		}
		waiting := len(g.queue) > 0
		g.mu.Unlock()
		if waiting {
			g.arrived.Broadcast() // those that waited for one of these ids
		}
	}
	for _, r := range batch {
		r.done <- struct{}{}
	}
}

// take waits for requests and moves as many as fit together to batch. It leaves the
// batch empty when the writer is closed and the queue is empty.
func (g *groupWriter) take(batch []*request) []*request {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		g.settle()
		if batch = g.pick(batch); len(batch) > 0 || g.closed && len(g.queue) == 0 {
			return batch
		}
		g.arrived.Wait()
	}
}

// settle lets callers that are ready to run put their writes in first. It costs
// nothing when none is, and keeps the first of a hundred callers woken by the last
// commit from getting a commit of its own. The lock is held before and after.
func (g *groupWriter) settle() {
	for n := 0; n < len(g.queue) && len(g.queue) < g.max; {
		n = len(g.queue)
		g.mu.Unlock()
		runtime.Gosched()
		g.mu.Lock()
	}
}

// pick moves requests from the queue to batch, oldest first. One whose caller has
// stopped waiting is dropped; one that must not share a transaction with those before
// it stays.
func (g *groupWriter) pick(batch []*request) []*request {
	var kept, writes, bytes int
	for i, r := range g.queue {
		switch {
		case r.ctx.Err() != nil:
			r.fail(r.ctx.Err())
			r.done <- struct{}{}
		case len(batch) > 0 && (writes+len(r.writes) > g.max || bytes > maxBatchBytes):
			kept += copy(g.queue[kept:], g.queue[i:])
			clear(g.queue[kept:])
			g.queue = g.queue[:kept]
			return batch
		case g.exclusive && !g.claim(r, batch):
			g.queue[kept] = r
			kept++
		default:
			batch = append(batch, r)
			writes += len(r.writes)
			for j := range r.writes {
				bytes += r.writes[j].row.size()
			}
		}
	}
	clear(g.queue[kept:])
	g.queue = g.queue[:kept]
	return batch
}

// claim reserves the request's ids for its transaction. Atomic writes get a
// transaction of their own.
func (g *groupWriter) claim(r *request, batch []*request) bool {
	if len(batch) > 0 && (r.atomic || batch[0].atomic) {
		return false
	}
	for i := range r.writes {
		if _, taken := g.inFlight[r.writes[i].id]; taken {
			return false
		}
	}
	for i := range r.writes {
		g.inFlight[r.writes[i].id] = struct{}{}
	}
	return true
}

// close waits until everything in the queue is committed.
func (g *groupWriter) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.arrived.Broadcast()
	g.running.Wait()
}

// maxWaits is how many requests of a group may wait too long for a lock.
const maxWaits = 4

// isolate commits the requests with try, which applies all of them or returns an
// error having applied none. When one poisons the others, halving finds it, so that
// only it fails. When one waited too long for a lock that another transaction holds,
// each is tried by itself, since each such wait keeps the rest waiting; after some such
// waits, as for a table that is locked as a whole, all that are left fail.
func isolate(reqs []*request, try func([]*request) error) {
	err := try(reqs)
	switch {
	case err == nil:
	case len(reqs) > 1 && sqlState(err) == lockTimeout:
		for i, waits := 0, 1; i < len(reqs); i++ {
			switch r := reqs[i : i+1]; {
			case r[0].ctx.Err() != nil:
				r[0].fail(r[0].ctx.Err())
			case waits > maxWaits:
				r[0].fail(err)
			default:
				one := try(r)
				if one != nil {
					r[0].fail(one)
				}
				if sqlState(one) == lockTimeout {
					waits++
				}
			}
		}
	case len(reqs) == 1 || !worthRetrying(err):
		for _, r := range reqs {
			r.fail(err)
		}
	default:
		half := len(reqs) / 2
		isolate(reqs[:half], try)
		isolate(reqs[half:], try)
	}
}
