package functions

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/store"
)

// The first and the last pause between two reads of a job that is waited for. Pauses become longer.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// watch reads the jobs that are waited for in this process. All waiters of a job share its reads.
type watch struct {
	read func(ctx context.Context, id string) (store.Job, error)

	mu   sync.Mutex
	jobs map[string]*watched
}

// watched is a job that is waited for. One goroutine reads it, from when the first waiter joins
// until the last leaves.
type watched struct {
	waiters int
	stop    context.CancelFunc
	read    chan struct{} // has room for one: read the job now
	begun   int           // reads that were begun
	seen    sighting
	news    chan struct{} // closed when there is another sighting
}

// sighting is what a read found. Reads are numbered from 1.
type sighting struct {
	read int
	job  store.Job
	err  error
}

func newWatch(read func(context.Context, string) (store.Job, error)) *watch {
	return &watch{read: read, jobs: map[string]*watched{}}
}

// wait returns the job when it has ended, or the error of a read. If ctx ends first, it returns the
// cause, with the job as it was last seen since wait was called.
func (w *watch) wait(ctx context.Context, id string) (store.Job, error) {
	one, from := w.join(ctx, id)
	defer w.leave(id, one)
	var last store.Job
	for {
		w.mu.Lock()
		seen, news := one.seen, one.news
		w.mu.Unlock()
		if seen.read >= from && seen.err == nil {
			last = seen.job
		}
		switch {
		case last.State.Final():
			return last, nil
		case ctx.Err() != nil:
			return last, fmt.Errorf("wait for job %s: %w", id, context.Cause(ctx))
		case seen.read >= from && seen.err != nil:
			return seen.job, seen.err
		}
		select {
		case <-ctx.Done():
		case <-news:
		}
	}
}

// join adds a waiter. It returns the number of the first read that begins after that.
func (w *watch) join(ctx context.Context, id string) (one *watched, from int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one = w.jobs[id]; one == nil {
		reads, stop := context.WithCancel(context.WithoutCancel(ctx))
		one = &watched{stop: stop, read: make(chan struct{}, 1), news: make(chan struct{})}
		w.jobs[id] = one
		go w.follow(reads, id, one)
	} else {
		one.readNow()
	}
	one.waiters++
	return one, one.begun + 1
}

// leave takes a waiter away.
func (w *watch) leave(id string, one *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one.waiters--; one.waiters == 0 {
		one.stop()
		delete(w.jobs, id)
	}
}

// follow reads a job until ctx ends.
func (w *watch) follow(ctx context.Context, id string, one *watched) {
	for pause := firstPause; ctx.Err() == nil; {
		w.mu.Lock()
		one.begun++
		seen := sighting{read: one.begun}
		w.mu.Unlock()
		if err := guard.Inline(func() error {
			seen.job, seen.err = w.read(ctx, id)
			return nil
		}); err != nil { // a panic, of a driver perhaps, must not end the process
			seen.err = fmt.Errorf("wait for job %s: %w", id, err)
		}
		w.mu.Lock()
		one.seen = seen
		close(one.news)
		one.news = make(chan struct{})
		w.mu.Unlock()
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-one.read:
			pause = firstPause
		case <-timer.C:
			pause = min(pause*3/2, lastPause)
		}
		timer.Stop()
	}
}

// touch reads a job now, if it is waited for, because it may have ended.
func (w *watch) touch(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.jobs[id]; one != nil {
		one.readNow()
	}
}

func (one *watched) readNow() {
	select {
	case one.read <- struct{}{}:
	default: // it will be read
	}
}
