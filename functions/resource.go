package functions

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/piecework/piecework/functions/internal/guard"
)

// ErrResource says that a shared resource could not be opened. It is an ordinary error of the
// attempt, tried again like others.
var ErrResource = errors.New("resource cannot be opened")

// Resource is something that the handlers of a process share, such as a connection pool. It is
// opened when a handler first asks for it. Runtime.Close closes it.
type Resource[T any] struct {
	name  string
	open  func(context.Context) (T, error)
	close func(T) error

	mu      sync.Mutex
	value   T
	opened  bool
	closed  bool
	opening *opening // nil: no opener runs
}

// opening is a call of the opener.
type opening struct {
	done chan struct{} // closed when the opener has returned
	err  error         // set before that
}

// Share registers a resource. closeFn may be nil.
func Share[T any](
	r *Registry, name string, openFn func(context.Context) (T, error), closeFn func(T) error,
) *Resource[T] {
	res := &Resource[T]{name: name, open: openFn, close: closeFn}
	r.mu.Lock()
	r.resources = append(r.resources, res)
	r.mu.Unlock()
	return res
}

// Get returns the resource, opened if it was not. One opener runs at a time: other calls of Get
// wait for it, until their own context ends. If the opener fails, the next Get tries again;
// ErrResource. The context bounds the opening, so an opener must not keep it for later use. What an
// opener returns after that is kept for the next Get.
func (r *Resource[T]) Get(ctx context.Context) (T, error) {
	var none T
	for {
		r.mu.Lock()
		value, opened, closed, o, mine := r.value, r.opened, r.closed, r.opening, false
		if !opened && !closed && o == nil {
			o, mine = &opening{done: make(chan struct{})}, true
			r.opening = o
			go r.run(ctx, o)
		}
		r.mu.Unlock()
		switch {
		case opened:
			return value, nil
		case closed:
			return none, fmt.Errorf("%w: %s: %w", ErrResource, r.name, ErrClosed)
		}
		select {
		case <-o.done:
			if mine && o.err != nil {
				return none, fmt.Errorf("%w: %s: %w", ErrResource, r.name, o.err)
			}
		case <-ctx.Done():
			return none, fmt.Errorf("%w: %s: its opener has not returned: %w", ErrResource, r.name, context.Cause(ctx))
		}
	}
}

// run calls the opener and keeps what it returns. What is opened after Close is closed at once.
func (r *Resource[T]) run(ctx context.Context, o *opening) {
	var value T
	guard.Then(func() (err error) {
		value, err = r.open(ctx)
		return err
	}, func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		o.err, r.opening = err, nil
		close(o.done)
		if err != nil {
			return
		}
		if r.closed {
			go func() { _ = r.shut(value) }()
			return
		}
		r.value, r.opened = value, true
	})
}

// Close closes the resource if it was opened. Runtime.Close calls it.
func (r *Resource[T]) Close() error {
	r.mu.Lock()
	value, opened := r.value, r.opened
	r.opened, r.closed = false, true
	r.mu.Unlock()
	if !opened {
		return nil
	}
	return r.shut(value)
}

// shut calls the function that closes the resource.
func (r *Resource[T]) shut(value T) error {
	if r.close == nil {
		return nil
	}
	if err := guard.Call(func() error { return r.close(value) }); err != nil {
		return fmt.Errorf("close resource %s: %w", r.name, err)
	}
	return nil
}
