package functions

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions/internal/suggest"
	"github.com/piecework/piecework/pubsubq"
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
	// ErrNotDone: the job has not ended, so it has no result yet.
	ErrNotDone = errors.New("job has not ended")
	// ErrNoOutput: the job has no output of that name, or none that is visible yet.
	ErrNoOutput = errors.New("no such output")
)

// The errors of the store that programs match most.
var (
	// ErrNotFound: there is no such job, or its retention has passed.
	ErrNotFound = store.ErrNotFound
	// ErrWrongState: the job's state does not allow what was asked for.
	ErrWrongState = store.ErrMove
	// ErrUnavailable: the store is away, or refuses more work for now. What was asked for may have happened.
	ErrUnavailable = store.ErrUnavailable
)

// errEnded stands for every EndedError in the table of errors.
var errEnded = errors.New("job ended without a result")

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

// rule is a row of the table of errors.
type rule struct {
	err     error
	code    string        // names the error in a problem of the HTTP API; "": it has no name
	verdict Verdict       // what becomes of the message whose handling met the error
	after   time.Duration // for Retry: how long the message should wait
	reach   reach
	status  int // of HTTP
	exit    int // of the CLI
}

// reach is what an error says about other messages.
type reach bool

const (
	alone reach = false // nothing: other messages may fare better
	all   reach = true  // they would meet the same error: the store is away, or the process shuts down
)

// rules is the one table of errors. The first row that matches counts.
var rules = []rule{
	{store.ErrNotFound, "not_found", Drop, 0, alone, http.StatusNotFound, ExitNotFound},
	{ErrNoOutput, "no_output", Drop, 0, alone, http.StatusNotFound, ExitNotFound},
	{blobout.ErrNotFound, "", Drop, 0, alone, http.StatusInternalServerError, ExitError}, // the job exists and its file is lost
	{ErrKeyConflict, "key_conflict", Drop, 0, alone, http.StatusConflict, ExitError},
	{ErrNotDone, "not_done", Drop, 0, alone, http.StatusConflict, ExitError},
	{errEnded, "ended", Drop, 0, alone, http.StatusConflict, ExitError},
	{store.ErrExists, "", Drop, 0, alone, http.StatusConflict, ExitError},
	{store.ErrMove, "wrong_state", Drop, 0, alone, http.StatusConflict, ExitError},
	{store.ErrHeld, "", Drop, 0, alone, http.StatusConflict, ExitError},
	{store.ErrNotDue, "", Drop, 0, alone, http.StatusConflict, ExitError},
	{store.ErrLeaseLost, "", Drop, 0, alone, http.StatusConflict, ExitError},
	{store.ErrKind, "", Retry, 5 * time.Second, alone, http.StatusUnprocessableEntity, ExitUsage},
	{store.ErrSuspect, "", Retry, suspectPause, alone, http.StatusConflict, ExitError}, // see suspects.pause
	{ErrUnknownKind, "unknown_kind", Drop, 0, alone, http.StatusUnprocessableEntity, ExitUsage},
	{ErrArgs, "args", Drop, 0, alone, http.StatusUnprocessableEntity, ExitUsage},
	{ErrTooLarge, "too_large", Drop, 0, alone, http.StatusRequestEntityTooLarge, ExitUsage},
	{store.ErrTooLarge, "too_large", Drop, 0, alone, http.StatusRequestEntityTooLarge, ExitUsage},
	{ErrInvalid, "invalid", Drop, 0, alone, http.StatusBadRequest, ExitUsage},
	{ErrConfig, "", Retry, 5 * time.Second, all, http.StatusInternalServerError, ExitUsage},
	{pubsubq.ErrMalformed, "", Retry, 5 * time.Second, alone, http.StatusInternalServerError, ExitError}, // it could not be parked
	{store.ErrCursor, "cursor", Drop, 0, alone, http.StatusBadRequest, ExitUsage},
	{store.ErrNewerRecord, "newer_record", Retry, 30 * time.Second, alone, http.StatusConflict, ExitError},
	{store.ErrCorrupt, "corrupt", Drop, 0, alone, http.StatusInternalServerError, ExitError},
	{store.ErrRefused, "", Drop, 0, alone, http.StatusInternalServerError, ExitError},
	{store.ErrUnavailable, "unavailable", Retry, 5 * time.Second, all, http.StatusServiceUnavailable, ExitError},
	{ErrClosed, "shut_down", Retry, 0, all, http.StatusServiceUnavailable, ExitError},
	{context.DeadlineExceeded, "timeout", Retry, 0, all, http.StatusGatewayTimeout, ExitTimeout},
	{context.Canceled, "", Retry, 0, all, 499, ExitInterrupted}, // the caller went away; nginx's number for it
}

// The exit statuses of programs that ExitStatus returns. They never change.
const (
	ExitError       = 1 // any other error
	ExitUsage       = 2 // the input or the configuration is wrong
	ExitNotFound    = 5 // there is no such job or output
	ExitTimeout     = 6 // the time was up
	ExitInterrupted = 130
)

// ruleOf returns the row of the table for err. An error that is not in the table may pass: the message comes again.
func ruleOf(err error) rule {
	for _, r := range rules {
		if errors.Is(err, r.err) {
			return r
		}
	}
	return rule{nil, "", Retry, 5 * time.Second, all, http.StatusInternalServerError, ExitError}
}

// HTTPStatus returns the HTTP status for err: 200 for nil, 500 for an error that is not in the table.
func HTTPStatus(err error) int {
	if err == nil {
		return http.StatusOK
	}
	return ruleOf(err).status
}

// ErrorCode names err for programs, as in "not_found". It returns "" for an error without a name.
func ErrorCode(err error) string { return ruleOf(err).code }

// ErrorCodes returns all that ErrorCode may return but "", sorted.
func ErrorCodes() []string {
	var codes []string
	for _, r := range rules {
		if r.code != "" {
			codes = append(codes, r.code)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// IsErrorCode reports whether target itself is an error that ErrorCode names so.
func IsErrorCode(target error, code string) bool {
	return code != "" && slices.ContainsFunc(rules, func(r rule) bool { return r.code == code && r.err == target }) //nolint:errorlint // for Is methods
}

// ExitStatus returns the exit status for a program that ends with err: 0 for nil, ExitError for an
// error that is not in the table.
func ExitStatus(err error) int {
	if err == nil {
		return 0
	}
	return ruleOf(err).exit
}

// outcomeOf returns what becomes of the message whose handling met err.
func outcomeOf(err error) Outcome {
	if err == nil {
		return Outcome{Verdict: Ack}
	}
	r := ruleOf(err)
	return Outcome{Verdict: r.verdict, After: r.after, Err: err}
}

// NearestName returns the candidate that a misspelt name most likely means, whatever its case, or "" if none is near.
func NearestName(name string, candidates []string) string { return suggest.Nearest(name, candidates) }

// UnknownName says that a name is unknown, and names the nearest candidate, or all of them if none is near. What is the
// noun: "flag", "environment variable".
func UnknownName(what, name string, candidates []string) string {
	return suggest.Unknown(what, name, candidates)
}

// RedactURL returns a URL without its user, password and parameters, for logs and errors. It hides them in mistyped URLs
// too.
func RedactURL(url string) string { return suggest.Redact(url) }
