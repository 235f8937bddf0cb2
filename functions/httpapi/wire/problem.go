package wire

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// Problem is a refusal, as RFC 9457 has it. It is an error: on the client's side errors.Is matches it with the
// error of functions or store that the server met.
type Problem struct { //nolint:errname // it is RFC 9457's own word
	Type    string  `json:"type,omitempty" doc:"about:blank: the status says it all"`
	Title   string  `json:"title" doc:"the status in words" example:"Not Found"`
	Status  int     `json:"status" doc:"the HTTP status" example:"404"`
	Detail  string  `json:"detail" doc:"what was wrong, where, and what to do"`
	Code    string  `json:"code,omitempty" doc:"the kind of error, for programs" example:"not_found"`
	Request string  `json:"request_id,omitempty" doc:"finds the request in the server's log"`
	Errors  []Fault `json:"errors,omitempty" doc:"what was wrong with the request, part by part"`

	// RetryAfter is the header of that name in seconds, 0 if there is none.
	RetryAfter int `json:"-"`
}

// Fault is one thing that is wrong with a request.
type Fault struct {
	Location string `json:"location,omitempty" doc:"where, as in body.jobs[3].kind" example:"body.kind"`
	Message  string `json:"message"`
	Value    any    `json:"value,omitempty" doc:"what stood there, shortened"`
}

// NewFault returns a part of a problem. A location or a message over 1,000 bytes is shortened.
func NewFault(location, message string) Fault {
	return Fault{Location: Shorten(location, maxDetail), Message: Shorten(message, maxDetail)}
}

// Error gives the detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return strings.ToLower(p.Title)
	}
	return p.Detail
}

// GetStatus gives the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType gives the media type of a problem.
func (p *Problem) ContentType(string) string { return ProblemType }

// ProblemType is the media type of a problem.
const ProblemType = "application/problem+json"

// Is reports whether target is the error that the problem's code stands for.
func (p *Problem) Is(target error) bool {
	for _, c := range codes {
		if c.code == p.Code && c.err == target {
			return true
		}
	}
	return false
}

// codes names errors for programs. The first line that matches counts.
var codes = []struct {
	err  error
	code string
}{
	{store.ErrNotFound, "not_found"},
	{functions.ErrNoOutput, "no_output"},
	{functions.ErrKeyConflict, "key_conflict"},
	{store.ErrMove, "wrong_state"},
	{store.ErrNewerRecord, "newer_record"},
	{functions.ErrUnknownKind, "unknown_kind"},
	{functions.ErrArgs, "args"},
	{functions.ErrTooLarge, "too_large"},
	{store.ErrTooLarge, "too_large"},
	{functions.ErrInvalid, "invalid"},
	{store.ErrCursor, "cursor"},
	{store.ErrCorrupt, "corrupt"},
	{store.ErrUnavailable, "unavailable"},
	{functions.ErrClosed, "shut_down"},
	{context.DeadlineExceeded, "timeout"},
}

// Code names an error for programs; "" for one that has no name.
func Code(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return ""
}

// maxDetail is how long the texts of a problem may be. They quote the request, which may be long.
const maxDetail = 1000

// NewProblem returns a problem of a status. A detail over 1,000 bytes is shortened.
func NewProblem(status int, detail string) *Problem {
	title := http.StatusText(status)
	if title == "" {
		title = "Client Closed Request" // 499, which has no text of its own
	}
	return &Problem{Type: "about:blank", Title: title, Status: status, Detail: Shorten(detail, maxDetail)}
}
