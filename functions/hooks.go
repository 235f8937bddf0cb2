package functions

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"

	"github.com/piecework/piecework/store"
)

// Middleware wraps the handlers of all kinds. It must call next exactly once, or not at all to
// refuse the attempt with an error of its own. Otherwise the attempt fails with ErrMiddleware. The
// first that was added is the outermost.
type Middleware func(ctx context.Context, job Info, next func(context.Context) error) error

// EndHook is called when a job has ended.
type EndHook func(ctx context.Context, job Info) error

// Use adds middleware around all handlers of the registry.
func (r *Registry) Use(m ...Middleware) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.middleware = append(r.middleware, m...)
}

// OnEnd adds a hook that is called when a job of any kind of this registry has ended: succeeded,
// failed, cancelled or skipped. It is called at least once: the job's record says that the hook is
// due, and sweep calls it again if the process died or the hook returned an error. It costs such
// jobs one write. If Client.Retry undoes an end before the hook was called, the hook is called for
// the job's next end only. Info.Omitted names a large result or a long list of outputs that the
// hook does not get; Client.Get returns them.
//
// All hooks of a job together have Config.HookTimeout, and on platforms with a deadline the time
// until shortly before it. Then their context ends. The hooks that one sweep calls for up to 100
// jobs have that time together. A hook that still does not return is abandoned and has failed.
// Sweep calls it again: in this process after the earlier call has returned, in other processes
// perhaps while it still runs. A hook that panics or ends its goroutine has failed too. While its
// hooks run, a job keeps its slot in the worker.
func (r *Registry) OnEnd(h EndHook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks = append(r.hooks, h)
}

// hooked reports whether there are end hooks.
func (r *Registry) hooked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.hooks) > 0
}

// wrapped reports whether there is middleware.
func (r *Registry) wrapped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.middleware) > 0
}

// wrap puts the middleware around a call.
func (r *Registry) wrap(job Info, call func(context.Context) error) func(context.Context) error {
	r.mu.Lock()
	list := slices.Clone(r.middleware)
	r.mu.Unlock()
	for _, m := range slices.Backward(list) {
		next := call
		call = func(ctx context.Context) error {
			t := &turn{next: next}
			return t.check(m(ctx, job, t.take), m)
		}
	}
	return call
}

// ErrMiddleware says that middleware did not call next exactly once, and returned no error of its
// own.
var ErrMiddleware = errors.New("middleware must call next exactly once, or return an error")

// turn is one call of a middleware. It may call next once.
type turn struct {
	next func(context.Context) error

	mu       sync.Mutex
	calls    int
	returned int
	over     bool // the middleware has returned
}

// take is the next that the middleware gets.
func (t *turn) take(ctx context.Context) error {
	t.mu.Lock()
	t.calls++
	refused := t.calls > 1 || t.over
	t.mu.Unlock()
	if refused {
		return ErrMiddleware
	}
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.returned++
	}()
	return t.next(ctx)
}

// check turns what a middleware returned into the error of the attempt.
func (t *turn) check(err error, m Middleware) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	name := func() string { return runtime.FuncForPC(reflect.ValueOf(m).Pointer()).Name() }
	switch {
	case t.calls > 1:
		return fmt.Errorf("%w: %s called it %d times", ErrMiddleware, name(), t.calls)
	case err != nil:
		return err
	case t.calls == 0:
		return fmt.Errorf("%w: %s returned nil without calling it", ErrMiddleware, name())
	case t.returned == 0:
		return fmt.Errorf("%w: %s returned nil before it did", ErrMiddleware, name())
	}
	return nil
}

// callEndHooks calls the end hooks.
func (r *Registry) callEndHooks(ctx context.Context, job Info) error {
	r.mu.Lock()
	hooks := slices.Clone(r.hooks)
	r.mu.Unlock()
	for _, h := range hooks {
		if err := h(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// runHooks calls the hooks of an ended job and reports whether they are done. A process without the
// kind leaves them to another process. If ctx has a deadline, the hooks must end a quarter of the
// margin before it, because the outbox is written after them.
func (rt *Runtime) runHooks(ctx context.Context, j store.Job) bool {
	if _, err := rt.reg.kind(j.Kind); err != nil || !rt.reg.hooked() {
		return false
	}
	limit := rt.cfg.HookTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left := deadline.Sub(rt.cfg.Now()) - rt.cfg.Margin/4
		limit = min(limit, left-left/10) // the tenth is for hooks that do not return at once
	}
	_, err := guarded(rt.calledBy(ctx, j.ID), rt, "hooks of "+j.ID, limit, func(ctx context.Context) (bool, error) {
		return true, rt.reg.callEndHooks(ctx, rt.info(j))
	})
	if err != nil {
		err = fmt.Errorf("end hook: %w", err)
		rt.log.LogAttrs(ctx, levelWarn, "end hook failed; sweep will call it again", append(identity(j), troubleAttrs(err)...)...)
		return false
	}
	return true
}
