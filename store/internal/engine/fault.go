package engine

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/gcerrors"
)

// The errors of the engine. Package store exports them, and says there what they mean for a caller.
var (
	ErrNotFound    = errors.New("no such record")
	ErrExists      = errors.New("record exists")
	ErrNewerRecord = errors.New("record was written by a newer version")
	ErrCorrupt     = errors.New("record is corrupt")
	ErrUnavailable = errors.New("store is unavailable")
	ErrRefused     = errors.New("store refuses the record")
	ErrCursor      = errors.New("invalid cursor")
)

// NotFoundError is ErrNotFound with the noun of the record, in the words of users.
type NotFoundError struct {
	Noun    string // as in "job"
	Expired bool   // the record is past its expiry, and the store has not deleted it yet
}

// Error says that there is no such record, by its noun.
func (e *NotFoundError) Error() string {
	if e.Expired {
		return "no such " + e.Noun + ": it has expired"
	}
	return "no such " + e.Noun
}

// Is reports whether target is ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// isExpired reports whether err says that the record is past its expiry.
func isExpired(err error) bool {
	missing, ok := errors.AsType[*NotFoundError](err)
	return ok && missing.Expired
}

// fault classifies an error of docstore.
type fault int

const (
	faultNone     fault = iota
	faultConflict       // the conditional write lost
	faultMissing        // no such document
	faultUnknown        // it may or may not have been applied
	faultFinal          // repeating it does not help: refused, or its context ended
)

// classify maps a docstore error, and returns it as one that tells callers whether their context
// ended. FailedPrecondition, AlreadyExists and, for a write that carried a revision, NotFound all
// mean that the race was lost: drivers differ in which of them they give.
//
// A write whose context ended is given up, not undone: until the record's revision has moved it may
// still be applied.
func classify(ctx context.Context, err error) (fault, error) {
	if err == nil {
		return faultNone, nil
	}
	if ctx.Err() != nil {
		return faultFinal, matching(ctx, err)
	}
	switch gcerrors.Code(err) {
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		return faultConflict, err
	case gcerrors.NotFound:
		return faultMissing, err
	case gcerrors.InvalidArgument:
		return faultFinal, fmt.Errorf("%w: %w", ErrRefused, err)
	case gcerrors.PermissionDenied, gcerrors.Unimplemented:
		return faultFinal, err
	default:
		return faultUnknown, err
	}
}

// matching makes the error of a call whose context has ended match the context's error. Most
// drivers return an error of their client, such as a gRPC status, and a pause returns the cause.
func matching(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}
