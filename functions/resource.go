package functions

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrResource says that a shared resource could not be opened. It is an ordinary error of the attempt, tried again like
// others.
var ErrResource = errors.New("resource cannot be opened")

// Resource is something that the handlers of a process share: a connection pool, a client. It is opened when a
// handler first asks for it and closed by Runtime.Close.
type Resource[T any] struct {
	name  string
	open  func(context.Context) (T, error)
	close func(T) error

	mu     sync.Mutex
	value  T
	opened bool
	closed bool
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

// Get returns the resource, opened if it was not. If the opener fails, the next Get tries again; ErrResource. The
// context bounds the opening, so an opener must not keep it for later use.
func (r *Resource[T]) Get(ctx context.Context) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opened {
		return r.value, nil
	}
	var none T
	if r.closed {
		return none, fmt.Errorf("%w: %s: %w", ErrResource, r.name, ErrClosed)
	}
	v, err := r.open(ctx)
	if err != nil {
		return none, fmt.Errorf("%w: %s: %w", ErrResource, r.name, err)
	}
	r.value, r.opened = v, true
	return v, nil
}

// Close closes the resource if it was opened. Runtime.Close calls it.
func (r *Resource[T]) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if !r.opened {
		return nil
	}
	r.opened = false
	if r.close == nil {
		return nil
	}
	if err := r.close(r.value); err != nil {
		return fmt.Errorf("close resource %s: %w", r.name, err)
	}
	return nil
}
