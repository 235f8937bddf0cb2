package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/store/internal/engine"
)

// The errors of this package. Match them with errors.Is.
var (
	// ErrNotFound: there is no record with that id. It never existed or its retention has passed.
	ErrNotFound = engine.ErrNotFound
	// ErrExists: Create found a record with that id, and returns it.
	ErrExists = engine.ErrExists
	// ErrMove: the record's state does not allow the verb. The record is unchanged.
	ErrMove = errors.New("move not allowed")
	// ErrLeaseLost: the attempt no longer holds the job. Nothing that it writes is kept.
	ErrLeaseLost = errors.New("lease lost")
	// ErrHeld: another attempt holds the job under a live lease.
	ErrHeld = errors.New("job is leased to another attempt")
	// ErrNotDue: the job may not start yet.
	ErrNotDue = errors.New("job is not due yet")
	// ErrKind: the worker that claims the job has no handler for its kind.
	ErrKind = errors.New("no handler here for the job's kind")
	// ErrSuspect: attempts of the job were lost with their workers, and the worker that claims the
	// job runs another such job. Such jobs run on different workers, so that a job that kills its
	// worker ends no other suspect.
	ErrSuspect = errors.New("the worker runs another job whose workers were lost")
	// ErrNewerRecord: a newer version of the software wrote the record in a form that this version
	// must not change.
	ErrNewerRecord = engine.ErrNewerRecord
	// ErrCorrupt: the stored bytes are not a record.
	ErrCorrupt = engine.ErrCorrupt
	// ErrUnavailable: the store did not answer any of the tries. The write may have been applied.
	// It may also be applied later, until the record's revision has moved. The verb may be
	// repeated. The same holds when a verb returns the error of a context that ended.
	ErrUnavailable = engine.ErrUnavailable
	// ErrRefused: the store calls the request invalid. The reason lies in this record, such as a
	// size that the service does not accept. Other records can be written. Repeating the verb does
	// not help.
	ErrRefused = engine.ErrRefused
	// ErrCursor: the cursor does not come from a page of this list.
	ErrCursor = engine.ErrCursor
	// ErrID: the text cannot be the id of a record. Verbs that read return it together with
	// ErrNotFound.
	ErrID = engine.ErrID
	// ErrTooLarge: the record would be larger than MaxGrown, or nested deeper than JSON may be.
	ErrTooLarge = errors.New("record is too large")
)

// NotFoundError says what there is none of: a job or a parked message. It matches ErrNotFound.
type NotFoundError = engine.NotFoundError

// Hint is an error with which a store says how long to wait before it is asked again, as Azure
// Cosmos DB does when it throttles. A collection may return it alone or wrapped: it is found with
// errors.As. The next try of a verb comes no sooner, and a little later by jitter, so that callers
// who were told the same do not all come back at once. A hint never makes a verb wait longer than
// its patience.
type Hint interface {
	error
	// RetryAfter is how long to wait. Zero or less: the store does not say.
	RetryAfter() time.Duration
}

// MoveError says which event was refused in which state. It matches ErrMove.
type MoveError struct {
	ID    string
	State State
	Event Event
}

// Error names the job, its state and what was refused, in the words that a user has for it, and
// says what the user may do instead.
func (e *MoveError) Error() string {
	verb, hint := string(e.Event), ""
	_, retried := Move(e.State, EventRequeue)
	switch e.Event {
	case EventRequeue:
		verb, hint = "retry", ": a retry is for failed and cancelled jobs"
		if retried {
			hint = ": its retention has passed, and it is being removed"
		} else if e.State == Held {
			hint += "; release it instead"
		}
	case EventRelease, EventDelay:
		verb, hint = "release", ": a release is for held jobs"
		if retried {
			hint += "; retry it instead"
		}
	case EventClaim:
		verb = "start"
	case EventResend:
		verb = "send the message of"
	case EventRepeat:
		verb = "retry"
	}
	return fmt.Sprintf("job %s: cannot %s a job that is %s%s", e.ID, verb, e.State, hint)
}

// Is reports whether target is ErrMove.
func (e *MoveError) Is(target error) bool { return target == ErrMove }
