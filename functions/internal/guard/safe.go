package guard

import (
	"errors"
	"fmt"
)

// Safe wraps an error whose methods may panic, such as a nil pointer in an error. It takes the text at once. A panic of
// the error's Is, As or Unwrap is no match from then on. A panic of Error reaches the caller of Safe. Safe(nil) is nil.
func Safe(err error) error {
	switch err.(type) { //nolint:errorlint // only what is safe itself needs no wrapping
	case nil, *foreign, *Panic:
		return err
	}
	return &foreign{text: err.Error(), err: err}
}

// foreign is an error with methods that the library does not own.
type foreign struct {
	text string
	err  error
}

// Error returns the text as it was when the error was made safe.
func (e *foreign) Error() string { return e.text }

// Is reports whether the error matches.
func (e *foreign) Is(target error) (matches bool) {
	_ = Inline(func() error { matches = errors.Is(e.err, target); return nil })
	return matches
}

// As finds the target in the error's chain.
func (e *foreign) As(target any) (found bool) {
	_ = Inline(func() error { found = errors.As(e.err, target); return nil })
	return found
}

// TypeOf names the type of an error, also of one that was made safe.
func TypeOf(err error) string {
	if e, ok := err.(*foreign); ok { //nolint:errorlint // the error itself is asked for
		err = e.err
	}
	return fmt.Sprintf("%T", err)
}
