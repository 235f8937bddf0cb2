// Package tripwire stands between a runtime and what it writes to, and can end the runtime at any of its effects:
// from then on nothing that it does takes effect, as if its process had died.
package tripwire

import (
	"errors"
	"sync"

	"gocloud.dev/gcerrors"
)

// ErrDead is the error of every effect after the wire was cut.
var ErrDead = errors.New("the process is dead")

// Wire counts the effects of one runtime: writes of records, messages, files that are completed or removed. It is safe
// for concurrent use. A nil wire lets everything pass.
type Wire struct {
	// Trip is called before each effect with its number, from 1, and a description. It may take its time, and says
	// what happens.
	Trip func(n int, what string) Fate

	mu   sync.Mutex
	n    int
	dead bool
}

// Fate is what happens at an effect.
type Fate int

// The fates.
const (
	Pass      Fate = iota // it happens
	DieBefore             // the process dies, and it does not happen
	DieAfter              // it happens, and the process dies before it learns so
)

// Effects is how many there were.
func (w *Wire) Effects() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// Do makes an effect happen, or not.
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
		_ = effect() // nobody learns of it
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

// alive is nil, or ErrDead: for what only reads.
func (w *Wire) alive() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return ErrDead
	}
	return nil
}

// code gives ErrDead a code that nobody tries again for.
func code(err error) gcerrors.ErrorCode {
	if errors.Is(err, ErrDead) {
		return gcerrors.PermissionDenied
	}
	return gcerrors.Code(err)
}

// Dead reports whether the process has died. A nil wire's never does.
func (w *Wire) Dead() bool { return w != nil && w.alive() != nil }
