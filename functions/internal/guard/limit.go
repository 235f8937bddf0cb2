package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrBusy says that a call was not made: an earlier call with the same key still runs, or too many calls were left
// behind.
var ErrBusy = errors.New("not called")

// ErrLate says that a call did not return in time and was left behind.
var ErrLate = errors.New("did not return in time")

// maxLeft is how many calls of one Calls may be left behind and still run. Each holds a goroutine and what the code that
// hangs holds.
const maxLeft = 1000

// maxGrace is how long a call may take at most to return after its context has ended.
const maxGrace = time.Second

// Calls knows which calls with a time limit still run. The zero value is ready to use.
type Calls struct {
	mu   sync.Mutex
	busy map[string]bool
	left int
}

// call is one call under way. The mutex of Calls guards it.
type call struct{ returned, left bool }

// enter takes note of a call that begins.
func (c *Calls) enter(key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.left >= maxLeft:
		return fmt.Errorf("%w: %d earlier calls did not return and still run", ErrBusy, c.left)
	case key == "":
		return nil
	case c.busy[key]:
		return fmt.Errorf("%w: the earlier call still runs", ErrBusy)
	case c.busy == nil:
		c.busy = map[string]bool{}
	}
	c.busy[key] = true
	return nil
}

// leave takes note of a call that has returned.
func (c *Calls) leave(this *call, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, key)
	this.returned = true
	if this.left {
		c.left--
	}
}

// abandon leaves a call behind, unless it has just returned.
func (c *Calls) abandon(this *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if this.returned {
		return false
	}
	this.left = true
	c.left++
	return true
}

// Within is Call with a result and an end. The context that f gets ends with ctx, or after limit. If f has not returned a
// tenth of limit later, at most a second, it is left behind: Within returns the cause of ctx, or ErrLate if the limit has
// passed.
//
// Calls with the same key do not run at the same time: while one runs, left behind or not, the next is ErrBusy. An empty
// key allows any number. Nothing is called if ctx has ended already, or limit is not positive.
func Within[T any](
	ctx context.Context, c *Calls, key string, limit time.Duration, f func(context.Context) (T, error),
) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
	if limit <= 0 {
		return none, fmt.Errorf("%w: no time is left for it", ErrBusy)
	}
	if err := c.enter(key); err != nil {
		return none, err
	}
	type answer struct {
		value T
		err   error
	}
	var this call
	inner, cancel := context.WithTimeout(ctx, limit)
	done := make(chan answer, 1)
	go func() {
		defer cancel()
		var a answer
		Then(func() (err error) {
			a.value, err = f(inner)
			return err
		}, func(err error) {
			a.err = err
			c.leave(&this, key)
			done <- a
		})
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-inner.Done():
	}
	timer := time.NewTimer(min(maxGrace, limit/10))
	defer timer.Stop()
	select {
	case a := <-done:
		return a.value, a.err
	case <-timer.C:
	}
	switch {
	case !c.abandon(&this):
		a := <-done
		return a.value, a.err
	case ctx.Err() != nil:
		return none, fmt.Errorf("did not return when its context ended: %w", context.Cause(ctx))
	default:
		return none, fmt.Errorf("%w: %v", ErrLate, limit)
	}
}
