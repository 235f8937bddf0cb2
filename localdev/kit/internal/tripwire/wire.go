// Package tripwire wraps the store, blobs and queue of a runtime, and can cut the runtime off at
// any of its writes. From then on none of its writes takes effect, as if its process had died.
package tripwire

import (
	"errors"
	"sync"

	"gocloud.dev/gcerrors"
)

// ErrDead is the error of every operation after the wire was cut.
var ErrDead = errors.New("the process is dead")

// Wire counts the effects of one runtime: writes of records, messages, completed and removed files.
// It is safe for concurrent use. A nil wire lets everything pass.
type Wire struct {
	// Trip is called before each effect with its number, from 1, and a description, and returns its
	// fate. It may block.
	Trip func(n int, what string) Fate

	mu   sync.Mutex
	n    int
	dead bool
	seen map[string]record // by id
}

// Fate says what happens to an effect.
type Fate int

// The fates.
const (
	Pass      Fate = iota // it happens
	DieBefore             // the process dies, and it does not happen
	DieAfter              // it happens, and the process dies before it learns the outcome
)

// Do performs an effect, or not, as its fate says.
func (w *Wire) Do(what string, effect func() error) error {
	if w == nil {
		return effect()
	}
	w.mu.Lock()
	if w.dead {
		w.mu.Unlock()
		return ErrDead
	}
	w.n++
	n := w.n
	w.mu.Unlock()
	switch w.Trip(n, what) {
	case DieBefore:
		w.cut()
		return ErrDead
	case DieAfter:
		_ = effect() // the process dies before it learns the outcome
		w.cut()
		return ErrDead
	default:
		return effect()
	}
}

func (w *Wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = true
}

// alive returns ErrDead if the wire was cut. Reads use it.
func (w *Wire) alive() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return ErrDead
	}
	return nil
}

// code gives ErrDead a code that is never retried.
func code(err error) gcerrors.ErrorCode {
	if errors.Is(err, ErrDead) {
		return gcerrors.PermissionDenied
	}
	return gcerrors.Code(err)
}

// Dead reports whether the process has died. With a nil wire it never dies.
func (w *Wire) Dead() bool { return w != nil && w.alive() != nil }
