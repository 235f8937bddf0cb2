package sqldocstore

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/gcerrors"
)

// ErrUnavailable is what errors.Is finds in an error that came about because the
// database could not be reached, or stayed locked by another process for longer than
// BusyTimeout. Its gcerrors code is Unknown, as gocloud's drivers do for an
// unavailable service; whether a write in flight was applied is not known.
var ErrUnavailable = errors.New("database unavailable")

// opError is an error of this package: a gcerrors code, the call with its arguments
// and, if the database said something, its error.
type opError struct {
	code gcerrors.ErrorCode
	msg  string
	err  error
}

func (e *opError) Error() string {
	if e.err == nil {
		return "sqldocstore: " + e.msg
	}
	return fmt.Sprintf("sqldocstore: %s: %v", e.msg, e.err)
}

func (e *opError) Unwrap() error { return e.err }

func errorf(code gcerrors.ErrorCode, format string, args ...any) error {
	return &opError{code: code, msg: fmt.Sprintf(format, args...)}
}

func invalidf(format string, args ...any) error {
	return errorf(gcerrors.InvalidArgument, format, args...)
}

// wrapf adds the call to an error of the database, once: an error that has a code
// already passes unchanged.
func wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	var op *opError
	if errors.As(err, &op) || isContextError(err) {
		return err
	}
	return &opError{code: codeOf(err), msg: fmt.Sprintf(format, args...), err: err}
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// ErrorCode is the gcerrors code of an error that Open returned, which gcerrors.Code does
// not see: there was no collection yet to say it through. InvalidArgument means that the
// URL or the options are wrong.
func ErrorCode(err error) gcerrors.ErrorCode {
	if err == nil {
		return gcerrors.OK
	}
	return codeOf(err)
}

// codeOf is the gcerrors code of any error that this package or a database made.
func codeOf(err error) gcerrors.ErrorCode {
	var op *opError
	var out *outcome
	switch {
	case errors.As(err, &op):
		return op.code
	case errors.As(err, &out):
		return out.code
	case errors.Is(err, ErrUnavailable):
		return gcerrors.Unknown
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	}
	if code, ok := sqliteCode(err); ok {
		return code
	}
	if code, ok := postgresCode(err); ok {
		return code
	}
	return gcerrors.Code(err)
}
