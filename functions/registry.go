package functions

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Registry holds the kinds that a process knows: their handlers, options, middleware and hooks.
// Fill it before it is given to New; mistakes in it (a malformed or duplicate kind, an impossible
// option) are collected and refused there.
type Registry struct {
	mu         sync.Mutex
	kinds      map[string]*kind
	middleware []Middleware
	hooks      []EndHook
	triggers   []*Trigger
	resources  []io.Closer
	errs       []error
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{kinds: map[string]*kind{}} }

// add puts a kind into the registry, or notes why not.
func (r *Registry) add(k *kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(k.settings.errs) > 0:
		for _, err := range k.settings.errs {
			r.errs = append(r.errs, fmt.Errorf("kind %q: %w", k.name, err))
		}
	case r.kinds[k.name] != nil:
		r.errs = append(r.errs, fmt.Errorf("%w: kind %q is registered twice", ErrInvalid, k.name))
	default:
		r.kinds[k.name] = k
	}
}

// Err returns what is wrong with the registry, or nil. New asks it too.
func (r *Registry) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.errs...)
}

// Kinds returns the names of the registered kinds, sorted.
func (r *Registry) Kinds() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.kinds))
}

// Queues returns the queues that jobs of the kinds with a handler here go to by default, and the
// queues that triggers send jobs to, sorted. A worker that pulls from all of them, and from no other,
// runs every job of this program and keeps none from another.
func (r *Registry) Queues() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := map[string]bool{}
	for _, k := range r.kinds {
		if k.call != nil {
			set[k.settings.queue] = true
		}
	}
	for _, t := range r.triggers {
		if queue := t.settings().queue; queue != "" {
			set[queue] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// Runs returns the kinds that have a handler here, with the queue that their jobs go to by default.
func (r *Registry) Runs() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	runs := map[string]string{}
	for name, k := range r.kinds {
		if k.call != nil {
			runs[name] = k.settings.queue
		}
	}
	return runs
}

// Types returns the types of a kind's arguments and result, nil for a kind that is not registered.
func (r *Registry) Types(kind string) (args, result reflect.Type) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.kinds[kind]; k != nil {
		return k.args, k.result
	}
	return nil, nil
}

// kind returns a kind, or ErrUnknownKind with the nearest name.
func (r *Registry) kind(name string) (*kind, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.kinds[name]; k != nil {
		return k, nil
	}
	names := slices.Sorted(maps.Keys(r.kinds))
	switch near := NearestName(name, names); {
	case near != "":
		return nil, fmt.Errorf("%w %q; did you mean %q?", ErrUnknownKind, name, near)
	case len(names) == 0:
		return nil, fmt.Errorf("%w %q: no kind is registered here", ErrUnknownKind, name)
	default:
		return nil, fmt.Errorf("%w %q; registered here: %s", ErrUnknownKind, name, strings.Join(names, ", "))
	}
}

// has reports whether the kind is registered.
func (r *Registry) has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kinds[name] != nil
}

// runs reports whether there is a handler for the kind here.
func (r *Registry) runs(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.kinds[name]
	return k != nil && k.call != nil
}
