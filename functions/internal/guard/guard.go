// Package guard calls code that the library does not own: handlers, hooks, callbacks, and methods of values and errors
// that such code returns. A panic, a runtime.Goexit or an endless wait of that code is an error for the caller.
package guard

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrGoexit says that the called code ended its goroutine.
var ErrGoexit = errors.New("ended its goroutine without returning (runtime.Goexit, or t.FailNow in a test)")

// Panic is a panic of the called code, as an error.
type Panic struct { //nolint:errname // the noun of the package
	Value any
	Stack string

	text string
}

// caught makes an error of a recovered value. fmt takes care of values whose own methods panic.
func caught(value any) *Panic {
	return &Panic{Value: value, Stack: string(debug.Stack()), text: fmt.Sprintf("panic: %v", value)}
}

// Error gives the text of the value that was passed to panic.
func (p *Panic) Error() string { return p.text }

// StackOf returns the stack of the panic that err wraps, or "".
func StackOf(err error) string {
	if p, ok := errors.AsType[*Panic](err); ok {
		return p.Stack
	}
	return ""
}

// Then calls f on this goroutine and then done with f's error, exactly once, whatever f does. The error is safe to use;
// see Safe. After a Goexit of f the goroutine ends when done returns.
func Then(f func() error, done func(error)) {
	err := ErrGoexit
	defer func() {
		if p := recover(); p != nil {
			err = caught(p)
		}
		done(err)
	}()
	err = Safe(f())
}

// Call calls f on a goroutine of its own and returns f's error. The error is safe to use.
func Call(f func() error) error {
	done := make(chan error, 1)
	go Then(f, func(err error) { done <- err })
	return <-done
}

// Inline calls f on this goroutine and returns f's error. The error is safe to use. A Goexit of f ends the goroutine:
// Inline is for goroutines that the caller of the library owns.
func Inline(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = caught(p)
		}
	}()
	return Safe(f())
}
