package functions

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// The errors of this package. Match them with errors.Is. Those of store and blobout come through as they are.
var (
	// ErrUnknownKind: no kind of that name is registered here.
	ErrUnknownKind = errors.New("unknown kind")
	// ErrInvalid: what was asked for is malformed; the text says which part and what to do.
	ErrInvalid = errors.New("invalid request")
	// ErrArgs: the arguments do not fit the kind; the text names the field.
	ErrArgs = errors.New("arguments do not fit the kind")
	// ErrTooLarge: arguments, result or checkpoint are longer than the limit.
	ErrTooLarge = errors.New("too large")
	// ErrKeyConflict: a job of that kind and key exists, with other arguments.
	ErrKeyConflict = errors.New("key is taken by a job with other arguments")
	// ErrConfig: the configuration cannot work; nothing was started.
	ErrConfig = errors.New("invalid configuration")
	// ErrClosed: the runtime was shut down.
	ErrClosed = errors.New("runtime is shut down")
	// ErrNoOutput: the job has no output of that name, or none that is visible yet.
	ErrNoOutput = errors.New("no such output")
)

// The causes with which an attempt's context is cancelled: context.Cause tells which.
var (
	// ErrAttemptTimeout: the attempt ran longer than the kind's Timeout.
	ErrAttemptTimeout = errors.New("attempt timeout")
	// ErrJobDeadline: the job's total Deadline passed.
	ErrJobDeadline = errors.New("job deadline passed")
	// ErrPlatformDeadline: the platform ends this invocation soon. An attempt that saved a checkpoint in this
	// invocation goes on in another.
	ErrPlatformDeadline = errors.New("platform deadline is near")
	// ErrCancelRequested: somebody cancelled the job.
	ErrCancelRequested = errors.New("job was cancelled")
	// ErrLeaseLost: another attempt may hold the job by now. Nothing this one writes is kept.
	ErrLeaseLost = store.ErrLeaseLost
	// ErrShutdown: the worker shuts down. The job goes back to the queue without using an attempt.
	ErrShutdown = errors.New("worker shuts down")
)

// rule is a line of the table from error to outcome to HTTP status.
type rule struct {
	err     error
	verdict Verdict
	after   time.Duration
	status  int
}

// rules says, for each error that a verb may meet, what becomes of the message that caused it and which HTTP
// status tells a caller of it. The first line that matches counts.
var rules = []rule{
	{store.ErrNotFound, Drop, 0, http.StatusNotFound},
	{ErrNoOutput, Drop, 0, http.StatusNotFound},
	{blobout.ErrNotFound, Drop, 0, http.StatusInternalServerError}, // of a job that is there: its file is lost
	{ErrKeyConflict, Drop, 0, http.StatusConflict},
	{store.ErrExists, Drop, 0, http.StatusConflict},
	{store.ErrMove, Drop, 0, http.StatusConflict},
	{store.ErrHeld, Drop, 0, http.StatusConflict},
	{store.ErrNotDue, Drop, 0, http.StatusConflict},
	{store.ErrLeaseLost, Drop, 0, http.StatusConflict},
	{store.ErrKind, Retry, 5 * time.Second, http.StatusUnprocessableEntity},
	{store.ErrSuspect, Retry, suspectPause, http.StatusConflict}, // see suspects.pause
	{ErrUnknownKind, Drop, 0, http.StatusUnprocessableEntity},
	{ErrArgs, Drop, 0, http.StatusUnprocessableEntity},
	{ErrTooLarge, Drop, 0, http.StatusRequestEntityTooLarge},
	{store.ErrTooLarge, Drop, 0, http.StatusRequestEntityTooLarge},
	{ErrInvalid, Drop, 0, http.StatusBadRequest},
	{store.ErrCursor, Drop, 0, http.StatusBadRequest},
	{store.ErrNewerRecord, Retry, 30 * time.Second, http.StatusConflict},
	{store.ErrCorrupt, Drop, 0, http.StatusInternalServerError},
	{store.ErrRefused, Drop, 0, http.StatusInternalServerError},
	{store.ErrUnavailable, Retry, 5 * time.Second, http.StatusServiceUnavailable},
	{ErrClosed, Retry, 0, http.StatusServiceUnavailable},
	{context.DeadlineExceeded, Retry, 0, http.StatusGatewayTimeout},
	{context.Canceled, Retry, 0, 499}, // the caller went away; nginx's number for it
}

// ruleOf is the line of the table for err. An error that is not in the table may pass: the message comes again.
func ruleOf(err error) rule {
	for _, r := range rules {
		if errors.Is(err, r.err) {
			return r
		}
	}
	return rule{nil, Retry, 5 * time.Second, http.StatusInternalServerError}
}

// HTTPStatus gives the status that tells a caller of err; 200 for nil, 500 for an error that is not in the table.
func HTTPStatus(err error) int {
	if err == nil {
		return http.StatusOK
	}
	return ruleOf(err).status
}

// outcomeOf gives what becomes of the message whose handling met err.
func outcomeOf(err error) Outcome {
	if err == nil {
		return Outcome{Verdict: Ack}
	}
	r := ruleOf(err)
	return Outcome{Verdict: r.verdict, After: r.after, Err: err}
}
