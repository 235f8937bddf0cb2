package fault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store"
)

// Op is an effect that is about to happen.
type Op struct {
	Layer string // "docs", "blobs" or, for queues of the tests' own, "queue"
	Verb  string // get, create, replace, delete, query; read, write, list, remove; send
	Key   string // the document, blob or query
}

// Writes reports whether the effect changes something.
func (o Op) Writes() bool {
	switch o.Verb {
	case "create", "replace", "delete", "write", "remove", "send":
		return true
	default:
		return false
	}
}

// String names the effect.
func (o Op) String() string { return o.Layer + " " + o.Verb + " " + o.Key }

// How an effect goes.
type How int

// The ways.
const (
	Fine    How = iota
	Refused     // not applied, and an error
	Lost        // applied, but the answer is an error
	Partial     // of a list: some are applied or read, and some are not
	Late        // a Waiter says when it happens: perhaps after its caller has given up
)

// String names the way.
func (h How) String() string { return [...]string{"fine", "refused", "lost", "partial", "late"}[h] }

// Fate is what becomes of an effect.
type Fate struct {
	How  How
	Code gcerrors.ErrorCode // of the error; 0: Unknown
}

// Hook decides. A nil Hook lets everything happen.
type Hook interface {
	// Before is called before the effect.
	Before(ctx context.Context, op Op) Fate
	// After is called when the effect has happened, before its answer is given.
	After(ctx context.Context, op Op)
}

// Waiter is a Hook that gives the fate Late.
type Waiter interface {
	Hook
	// Wait is called instead of the effect, and calls apply to let it happen, once or never. It returns nil when the
	// answer is there. When it returns an error, for example of a ctx that has ended, the effect is not undone: a
	// Waiter may call apply later.
	Wait(ctx context.Context, op Op, apply func()) error
}

// Error is an error of a fake store, with the code that gocloud's drivers would give.
type Error struct {
	Code gcerrors.ErrorCode
	Text string
	Wait time.Duration // how long it says to wait; 0: it does not
}

var _ store.Hint = (*Error)(nil)

// RetryAfter is how long to wait.
func (e *Error) RetryAfter() time.Duration { return e.Wait }

// Error gives the text.
func (e *Error) Error() string { return fmt.Sprintf("%s (%v)", e.Text, e.Code) }

func newError(code gcerrors.ErrorCode, format string, args ...any) error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// err is the error of an effect that was refused or whose answer was lost.
func (f Fate) err(op Op) error {
	code := f.Code
	if code == gcerrors.OK {
		code = gcerrors.Unknown
	}
	return newError(code, "fault: %v: %v", op, f.How)
}

// codeOf gives the code of an error of these stores.
func codeOf(err error) gcerrors.ErrorCode {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if errors.Is(err, context.Canceled) {
		return gcerrors.Canceled
	}
	return gcerrors.Unknown
}

// before asks a hook that may be nil.
func before(ctx context.Context, h Hook, op Op) Fate {
	if h == nil {
		return Fate{}
	}
	return h.Before(ctx, op)
}

// asked is before for a read that succeeds or fails as a whole: it returns when the read may happen, or its error.
func asked(ctx context.Context, h Hook, op Op) error {
	switch fate := before(ctx, h, op); fate.How {
	case Fine:
		return nil
	case Late:
		return carryOut(ctx, h, fate, op, func() {})
	default:
		return fate.err(op)
	}
}

// carryOut lets an effect happen, now or when the hook says. An error means that its caller has given up: apply may
// still be called, and must use nothing that belongs to the caller.
func carryOut(ctx context.Context, h Hook, fate Fate, op Op, apply func()) error {
	if fate.How == Late {
		return h.(Waiter).Wait(ctx, op, apply)
	}
	apply()
	return nil
}

func after(ctx context.Context, h Hook, op Op) {
	if h != nil {
		h.After(ctx, op)
	}
}
