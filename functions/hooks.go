package functions

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/piecework/piecework/store"
)

// Middleware wraps the handlers of all kinds. It calls next exactly once, or not at all to refuse the attempt with
// an error of its own. The first that was added is the outermost.
type Middleware func(ctx context.Context, job Info, next func(context.Context) error) error

// EndHook is told of a job's end.
type EndHook func(ctx context.Context, job Info) error

// Use adds middleware around all handlers of the registry.
func (r *Registry) Use(m ...Middleware) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.middleware = append(r.middleware, m...)
}

// OnEnd adds a hook that is called when a job of any kind of this registry has ended: succeeded, failed, cancelled
// or skipped. It is called at least once: the job's record remembers that the hook is due, and sweep calls it again
// if the process died or the hook returned an error. It costs such jobs one write. An end that Client.Retry undoes before
// the hook was told of it is not told: the job's next end is. A large result and a long list of outputs are left out of
// what the hook gets; Client.Get has them.
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
		call = func(ctx context.Context) error { return m(ctx, job, next) }
	}
	return call
}

// ended calls the end hooks. A hook that panics has failed.
func (r *Registry) ended(ctx context.Context, job Info) (err error) {
	r.mu.Lock()
	hooks := slices.Clone(r.hooks)
	r.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("end hook: panic: %v\n%s", p, debug.Stack())
		}
	}()
	for _, h := range hooks {
		if err := h(ctx, job); err != nil {
			return fmt.Errorf("end hook: %w", err)
		}
	}
	return nil
}

// runHooks calls the hooks of an ended job and says whether they are done. A process that does not have the kind
// leaves them to one that has.
func (rt *Runtime) runHooks(ctx context.Context, j store.Job) bool {
	if _, err := rt.reg.kind(j.Kind); err != nil || !rt.reg.hooked() {
		return false
	}
	if err := rt.reg.ended(ctx, rt.info(j)); err != nil {
		rt.log.LogAttrs(ctx, levelWarn, "end hook failed; sweep will call it again", append(identity(j), errAttr(err))...)
		return false
	}
	return true
}
