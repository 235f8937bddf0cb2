package store

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/gcerrors"
)

// The errors of this package. Match them with errors.Is.
var (
	// ErrNotFound: there is no record of that id. It never existed or its retention has passed.
	ErrNotFound = errors.New("no such record")
	// ErrExists: Create found a record of that id. The verb returns the record that is there.
	ErrExists = errors.New("record exists")
	// ErrMove: the record's state does not allow the verb. The record is unchanged.
	ErrMove = errors.New("move not allowed")
	// ErrLeaseLost: the attempt that asks no longer holds the job. Nothing it writes is kept.
	ErrLeaseLost = errors.New("lease lost")
	// ErrHeld: another attempt holds the job under a live lease.
	ErrHeld = errors.New("job is leased to another attempt")
	// ErrNotDue: the job may not start yet.
	ErrNotDue = errors.New("job is not due yet")
	// ErrKind: the worker that claims cannot run jobs of that kind.
	ErrKind = errors.New("no handler here for the job's kind")
	// ErrSuspect: attempts of the job were lost with their workers, and the worker that claims runs another such job. They
	// are tried apart, so that the one that kills its worker takes none of the others down with it.
	ErrSuspect = errors.New("the worker runs another job whose workers were lost")
	// ErrNewerRecord: a newer version of the software wrote the record in a form this one must not touch.
	ErrNewerRecord = errors.New("record was written by a newer version")
	// ErrCorrupt: the stored bytes are not a record.
	ErrCorrupt = errors.New("record is corrupt")
	// ErrUnavailable: the store did not answer, also not after retries. The write may have been applied, or may be
	// applied later, for as long as the record's revision has not moved; the verb may be repeated. The same holds after
	// the error of a context that ended.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrRefused: the store calls the request invalid. The reason lies in this record, such as a size that the service
	// does not take: others can be written, and repeating the verb will not help.
	ErrRefused = errors.New("store refuses the record")
	// ErrCursor: a cursor that this list did not hand out.
	ErrCursor = errors.New("invalid cursor")
	// ErrTooLarge: the record would be larger than MaxGrown, or nested deeper than JSON may be.
	ErrTooLarge = errors.New("record is too large")
)

// MoveError says which event was refused in which state. It matches ErrMove.
type MoveError struct {
	ID    string
	State State
	Event Event
}

// Error names the job, the event and the state.
func (e *MoveError) Error() string {
	return fmt.Sprintf("job %s: cannot %s a job that is %s", e.ID, e.Event, e.State)
}

// Is reports whether target is ErrMove.
func (e *MoveError) Is(target error) bool { return target == ErrMove }

// fault classifies an error of the docstore.
type fault int

const (
	faultNone     fault = iota
	faultConflict       // the conditional write lost
	faultMissing        // no such document
	faultUnknown        // it may or may not have been applied
	faultFinal          // repeating it will not help: it was refused, or its context ended and it may still be applied
)

// classify maps a docstore error, and returns it as one that tells callers whether it was their context that ended.
// FailedPrecondition, AlreadyExists and, for a write that carried a revision, NotFound all mean that the race was lost:
// drivers differ in which of them they give.
//
// A write whose context ended is given up, not undone: until the record's revision has moved it may still be applied.
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

// matching makes the error of a call whose context has ended match that of the context. Most drivers give their client's
// own, such as the status of a gRPC call, and a pause gives the cause.
func matching(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}
