package functions

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/piecework/piecework/store"
)

// errOver is what a handler gets that goes on writing although its attempt has ended.
var errOver = fmt.Errorf("%w: the attempt has ended", ErrLeaseLost)

// leaveBehind marks the handler as one that the attempt ends without. From then on it writes no files: what it has
// under way is cut off, and what it begins is refused.
func (a *Attempt) leaveBehind() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = true
	if !a.returned { // in this very moment
		a.rt.leftBehind(a.job, 1)
	}
	if a.cutOff != nil {
		a.cutOff(errOver)
	}
}

// hasReturned notes that the handler has returned, in time or not.
func (a *Attempt) hasReturned() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.returned = true
	if a.left {
		a.rt.leftBehind(a.job, -1)
	}
}

// leftBehind counts the handlers that are left behind and have not returned yet.
func (rt *Runtime) leftBehind(j store.Job, by int64) {
	rt.stats.LeftBehind.Add(by)
	rt.tel.leftBehind(context.Background(), j, by)
}

// LeftBehind reports whether the attempt was ended without its handler, which did not return in time. It tells when the
// function that Start was given is called.
func (a *Attempt) LeftBehind() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left
}

// bound gives a write of the handler's a context that ends when the handler is left behind, whatever context the
// handler made it with. The function that it returns must be called when the write is done.
func (a *Attempt) bound(ctx context.Context) (context.Context, func()) {
	a.mu.Lock()
	if a.files == nil {
		a.files, a.cutOff = context.WithCancelCause(context.Background())
		if a.left {
			a.cutOff(errOver)
		}
	}
	files := a.files
	a.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(files, func() { cancel(errOver) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// abort drops what the outputs are writing. It waits for a handler that is amid a write, but not for long for one that
// was left behind: that may be stuck there, and the context of the write has ended, so that nothing comes of it.
func (a *Attempt) abort() {
	outputs := a.opened()
	a.mu.Lock()
	left := a.left
	a.mu.Unlock()
	if len(outputs) == 0 {
		return
	}
	if !left {
		for _, o := range outputs {
			o.abort()
		}
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var wg sync.WaitGroup
		for _, o := range outputs {
			wg.Go(o.abort)
		}
		wg.Wait()
	}()
	patience := time.NewTimer(a.rt.cfg.Margin / 10)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
}
