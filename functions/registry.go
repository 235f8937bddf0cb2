package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/piecework/piecework/store"
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

// kind is a registered kind.
type kind struct {
	name     string
	settings settings
	args     reflect.Type
	result   reflect.Type
	decode   func(data []byte, strict bool) (any, error)
	call     func(ctx context.Context, a *Attempt, args any) (any, error) // nil: declared only
}

// Handle registers fn as the handler of a kind. Its name is lower case, as in "banking.statement";
// it is stored with every job, so it should not change. Args and Result are anything that
// encoding/json can write and read. Numbers that are read into any, also within maps and slices,
// become float64, which rounds whole numbers above 2^53: use int64, json.Number or json.RawMessage
// for these.
//
// fn may be called more than once for one job, for instance after a crash, and on other machines.
// One of these calls wins: its result and its outputs are the job's. Results and outputs of the
// other calls are never visible. What fn does elsewhere should be idempotent; the job's ID is a
// good key for that.
func Handle[Args, Result any](
	r *Registry, name string, fn func(ctx context.Context, job *Job[Args]) (Result, error), opts ...KindOption,
) {
	k := newKind[Args, Result](name, opts)
	if fn == nil {
		k.settings.refusef("its handler is nil")
	} else {
		k.call = func(ctx context.Context, a *Attempt, args any) (any, error) {
			return fn(ctx, newJob(a, *args.(*Args)))
		}
	}
	r.add(k)
}

// Declare registers a kind without a handler, for processes that submit jobs which other processes
// run.
func Declare[Args, Result any](r *Registry, name string, opts ...KindOption) {
	r.add(newKind[Args, Result](name, opts))
}

func newKind[Args, Result any](name string, opts []KindOption) *kind {
	k := &kind{
		name: name, args: reflect.TypeFor[Args](), result: reflect.TypeFor[Result](),
		settings: settings{queue: DefaultQueue, policy: store.Policy{
			MaxAttempts: DefaultMaxAttempts, MaxLost: DefaultMaxLost,
			Timeout: DefaultTimeout.Milliseconds(), Retention: DefaultRetention.Milliseconds(),
			Backoff: RetryPolicy{}.stored(),
		}},
		decode: func(data []byte, strict bool) (any, error) {
			args := new(Args)
			return args, decodeArgs(data, args, strict)
		},
	}
	if CheckKind(name) != nil {
		k.settings.refusef(kindRule) // Registry.add names the kind
	}
	for _, o := range opts {
		o.applyKind(&k.settings)
	}
	if err := checkJSON("Args", k.args, true, map[reflect.Type]bool{}); err != nil {
		k.settings.refuse(err)
	}
	if err := checkJSON("Result", k.result, false, map[reflect.Type]bool{}); err != nil {
		k.settings.refuse(err)
	}
	return k
}

// fits reports whether args is of the kind's own type, so that it need not be decoded to be
// checked.
func (k *kind) fits(args any) bool {
	t := reflect.TypeOf(args)
	return t != nil && (t == k.args || t.Kind() == reflect.Pointer && t.Elem() == k.args)
}

// add puts a kind into the registry, or notes why not.
func (r *Registry) add(k *kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case k.settings.err != nil:
		r.errs = append(r.errs, fmt.Errorf("kind %q: %w", k.name, k.settings.err))
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

// Queues returns the queues that the registered kinds go to by default, and the queues that
// triggers send them to, sorted. A worker that pulls from all of them runs every job of this
// program.
func (r *Registry) Queues() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := map[string]bool{}
	for _, k := range r.kinds {
		set[k.settings.queue] = true
	}
	for _, t := range r.triggers {
		if queue := t.settings().queue; queue != "" {
			set[queue] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
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

// decodeArgs reads arguments into a pointer. strict refuses members that the type does not have: a
// submission with a misspelt field is told so, while a handler ignores what a newer submitter
// added.
func decodeArgs(data []byte, into any, strict bool) error {
	if len(data) == 0 {
		data = []byte("null")
	}
	var err error
	if strict {
		err = decodeStrict(data, into)
	} else { // every attempt does this, so without a Decoder's buffer
		err = json.Unmarshal(data, into)
	}
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("%w: field %q: cannot put a JSON %s into %s", ErrArgs, wrong.Field, wrong.Value, wrong.Type)
	case errors.As(err, &wrong):
		return fmt.Errorf("%w: want %s, got a JSON %s", ErrArgs, describe(wrong.Type), wrong.Value)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: not JSON at byte %d: %w", ErrArgs, syntax.Offset, err)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return unknownField(name, reflect.TypeOf(into).Elem())
	default:
		return fmt.Errorf("%w: %w", ErrArgs, err)
	}
}

// decodeStrict refuses unknown fields and anything after the value.
func decodeStrict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON value")
	}
	return nil
}

func unknownField(name string, t reflect.Type) error {
	fields := jsonFields(t)
	if near := NearestName(name, fields); near != "" {
		return fmt.Errorf("%w: unknown field %q; did you mean %q?", ErrArgs, name, near)
	}
	if len(fields) == 0 {
		return fmt.Errorf("%w: unknown field %q", ErrArgs, name)
	}
	return fmt.Errorf("%w: unknown field %q; fields are %s", ErrArgs, name, strings.Join(fields, ", "))
}

// describe names the JSON that a Go type reads.
func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "a JSON object"
	case reflect.Slice, reflect.Array:
		return "a JSON array"
	default:
		return t.String()
	}
}
