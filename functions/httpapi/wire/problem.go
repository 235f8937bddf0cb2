package wire

import (
	"net/http"
	"strings"

	"github.com/piecework/piecework/functions"
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
func (p *Problem) Is(target error) bool { return functions.IsErrorCode(target, p.Code) }

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

// Shorten returns the first bytes of a text, most at most and no half characters, and an ellipsis if that is not all.
func Shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
