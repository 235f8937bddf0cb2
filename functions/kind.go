package functions

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/piecework/piecework/store"
)

// KindOf is a kind of jobs: its name, the types of its arguments and of its result, and its options.
// [Kind] makes one. Give every program that has to do with the kind the same value, from a package
// that they share.
type KindOf[Args, Result any] struct {
	name string
	opts []KindOption
}

// Kind returns the kind of that name. The name is lower case, as in "banking.statement"; it is stored
// with every job, so it should not change. Args and Result are anything that encoding/json can write
// and read. Numbers that are read into any, also within maps and slices, become float64, which rounds
// whole numbers above 2^53: use int64, json.Number or json.RawMessage for these.
//
// Mistakes in the name, the types and the options are refused by New, through the registry that the
// kind is put into.
func Kind[Args, Result any](name string, opts ...KindOption) KindOf[Args, Result] {
	return KindOf[Args, Result]{name, opts}
}

// Name returns the kind's name.
func (k KindOf[Args, Result]) Name() string { return k.name }

// Handle registers fn as the handler of the kind, in a program that runs its jobs.
//
// fn may be called more than once for one job, for instance after a crash, and on other machines.
// One of these calls wins: its result and its outputs are the job's. Results and outputs of the
// other calls are never visible. What fn does elsewhere should be idempotent; the job's ID is a
// good key for that.
func (k KindOf[Args, Result]) Handle(r *Registry, fn func(ctx context.Context, job *Job[Args]) (Result, error)) {
	kind := k.kind()
	if fn == nil {
		kind.settings.refusef("its handler is nil")
	} else {
		kind.call = func(ctx context.Context, a *Attempt, args any) (any, error) {
			return fn(ctx, newJob(a, *args.(*Args)))
		}
	}
	r.add(kind)
}

// Handle registers fn as the handler of the kind of that name, as [KindOf.Handle] does, for a program
// that shares the kind with no other.
func Handle[Args, Result any](
	r *Registry, name string, fn func(ctx context.Context, job *Job[Args]) (Result, error), opts ...KindOption,
) {
	Kind[Args, Result](name, opts...).Handle(r, fn)
}

// Declare registers the kind without a handler, in a program that submits jobs which other programs
// run.
func (k KindOf[Args, Result]) Declare(r *Registry) { r.add(k.kind()) }

// Submit submits a job of the kind, as [Client.Submit] does.
func (k KindOf[Args, Result]) Submit(ctx context.Context, c *Client, args Args, opts ...SubmitOption) (Receipt, error) {
	return c.Submit(ctx, k.name, args, opts...)
}

// SubmitTx submits a job of the kind in a transaction of the caller, as [Client.SubmitTx] does.
func (k KindOf[Args, Result]) SubmitTx(ctx context.Context, c *Client, tx any, args Args, opts ...SubmitOption) (Receipt, error) {
	return c.SubmitTx(ctx, tx, k.name, args, opts...)
}

// Submission returns a job of the kind for [Client.SubmitMany].
func (k KindOf[Args, Result]) Submission(args Args, opts ...SubmitOption) Submission {
	return Submission{Kind: k.name, Args: args, Options: opts}
}

// Wait waits until a job of the kind has ended, as [Client.Wait] does, and returns its result. Errors
// are those of Client.Wait and of [KindOf.Result].
func (k KindOf[Args, Result]) Wait(ctx context.Context, c *Client, id string) (Result, error) {
	i, err := c.Wait(ctx, id)
	if err != nil {
		var none Result
		return none, err
	}
	return k.Result(i)
}

// Result returns the result of a job of the kind that has succeeded. Errors: [ErrNotDone] if it has
// not ended, an [*EndedError] if it ended otherwise, and [ErrInvalid] if it is of another kind or its
// result was left out of a list.
func (k KindOf[Args, Result]) Result(i Info) (Result, error) {
	var r Result
	switch {
	case i.Kind != k.name:
		return r, fmt.Errorf("%w: job %s is of kind %s, not of %s", ErrInvalid, i.ID, i.Kind, k.name)
	case !i.Done():
		return r, fmt.Errorf("%w: job %s is %s", ErrNotDone, i.ID, i.State)
	case i.State != StateSucceeded:
		return r, newEndedError(i)
	case slices.Contains(i.Omitted, omittedResult):
		return r, fmt.Errorf("%w: the result of job %s is large and was left out here; Get gives it", ErrInvalid, i.ID)
	case len(i.Result) == 0:
		return r, nil
	}
	if err := decode(i.Result, &r); err != nil {
		return r, fmt.Errorf("result of job %s: %w", i.ID, err)
	}
	return r, nil
}

// OnEnd registers an end hook, as [Registry.OnEnd] does, for the jobs of the kind. It gets the result
// of a job that has succeeded, and otherwise the [*EndedError], or why the result cannot be read.
func (k KindOf[Args, Result]) OnEnd(r *Registry, hook func(ctx context.Context, job Info, result Result, ended error) error) {
	r.OnEnd(func(ctx context.Context, i Info) error {
		if i.Kind != k.name {
			return nil
		}
		if slices.Contains(i.Omitted, omittedResult) {
			whole, err := ClientFrom(ctx).Get(ctx, i.ID)
			switch {
			case errors.Is(err, ErrUnavailable) || ctx.Err() != nil:
				return err // sweep calls the hook again
			case err != nil:
				var none Result
				return hook(ctx, i, none, err)
			}
			i = whole
		}
		result, err := k.Result(i)
		return hook(ctx, i, result, err)
	})
}

// EndedError says that a job has ended without a result.
type EndedError struct {
	ID       string
	State    State          // StateFailed, StateCancelled or StateSkipped
	Outcome  AttemptOutcome // of its last attempt; "" if it had none
	Attempts int            // that it used
	Text     string         // the last attempt's error, or why it was skipped or cancelled
}

func newEndedError(i Info) *EndedError {
	e := &EndedError{ID: i.ID, State: i.State, Attempts: i.Attempt, Text: cmp.Or(i.Error, i.Reason)}
	if n := len(i.Attempts); n > 0 {
		e.Outcome = i.Attempts[n-1].Outcome
	}
	return e
}

// Error says what became of the job.
func (e *EndedError) Error() string {
	text := fmt.Sprintf("job %s is %s, so it has no result", e.ID, e.State)
	if e.Attempts > 0 {
		text += fmt.Sprintf(", after %d attempts", e.Attempts)
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// Is reports whether target is the sentinel of the table of errors.
func (e *EndedError) Is(target error) bool { return target == errEnded }

// kind is a registered kind.
type kind struct {
	name     string
	settings settings
	args     reflect.Type
	result   reflect.Type
	decode   func(data []byte, strict bool) (any, error)
	bare     bool                                                         // it has no options
	call     func(ctx context.Context, a *Attempt, args any) (any, error) // nil: declared only
}

// kind returns what a registry holds.
func (k KindOf[Args, Result]) kind() *kind {
	kind := &kind{
		name: k.name, bare: len(k.opts) == 0, args: reflect.TypeFor[Args](), result: reflect.TypeFor[Result](),
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
	if CheckKind(k.name) != nil {
		kind.settings.refusef(kindRule) // Registry.add names the kind
	}
	for _, o := range k.opts {
		o.applyKind(&kind.settings)
	}
	if err := checkJSON("Args", kind.args, true, map[reflect.Type]bool{}); err != nil {
		kind.settings.refuse(err)
	}
	if err := checkJSON("Result", kind.result, false, map[reflect.Type]bool{}); err != nil {
		kind.settings.refuse(err)
	}
	return kind
}

// fits reports whether args is of the kind's own type, so that it need not be decoded to be
// checked.
func (k *kind) fits(args any) bool {
	t := reflect.TypeOf(args)
	return t != nil && (t == k.args || t.Kind() == reflect.Pointer && t.Elem() == k.args)
}

// decodeArgs reads arguments into a pointer. strict refuses members that the type does not have: a
// submission with a misspelt field is told so, while a handler ignores what a newer submitter
// added.
func decodeArgs(data []byte, into any, strict bool) error {
	if len(data) == 0 {
		data = []byte("null")
	}
	if strict && string(data) == "null" {
		if t := reflect.TypeOf(into).Elem(); t.Kind() != reflect.Struct && !takesNull(t) {
			return noArgs(t) // a struct without members is an object without them
		}
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

// noArgs says that arguments are missing: the job would run with zero values that nobody gave it.
func noArgs(t reflect.Type) error {
	want := describe(t)
	if fields := jsonFields(t); len(fields) > 0 {
		want += " with " + strings.Join(fields, ", ")
	}
	return fmt.Errorf("%w: there are none, want %s", ErrArgs, want)
}

// takesNull reports whether a type has a value for JSON's null, or no value but one.
func takesNull(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return true
	default:
		return ownForm(t) || t.Kind() == reflect.Struct && len(jsonFields(t)) == 0
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
