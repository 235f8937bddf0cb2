package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/functions/internal/suggest"
)

// refuse answers with a problem.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, p *wire.Problem) {
	p.Request = requestID(r.Context())
	header := w.Header()
	header.Set("Content-Type", wire.ProblemType)
	if p.Status == http.StatusServiceUnavailable {
		header.Set("Retry-After", retryAfter)
	}
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		a.opts.Log.LogAttrs(r.Context(), slog.LevelDebug, "refusal not sent", slog.String("request", p.Request), slog.Any("error", err))
	}
}

// retryAfter is when to try again what is unavailable, in seconds.
const retryAfter = "2"

// internal is what a caller is told of our own mistakes: nothing but where to look.
func internal(ctx context.Context) *wire.Problem {
	p := wire.NewProblem(http.StatusInternalServerError,
		fmt.Sprintf("the server failed at this; its log says more under request %s", requestID(ctx)))
	p.Request = requestID(ctx)
	return p
}

// problem turns an error of the runtime into a refusal. What the caller can do something about is told as it is;
// what went wrong inside is logged.
func (a *API) problem(ctx context.Context, err error, location string) *wire.Problem {
	switch {
	case cut(ctx, err):
		err = fmt.Errorf("%w: %w", functions.ErrClosed, err)
	case gone(ctx, err):
		p := wire.NewProblem(statusGone, "the caller went away")
		p.Request = requestID(ctx)
		return p
	}
	status := functions.HTTPStatus(err)
	if status < http.StatusInternalServerError {
		p := wire.NewProblem(status, err.Error())
		p.Code, p.Request = functions.ErrorCode(err), requestID(ctx)
		if location = locate(err, location); location != "" {
			p.Errors = []wire.Fault{wire.NewFault(location, err.Error())}
		}
		return p
	}
	a.opts.Log.LogAttrs(ctx, slog.LevelError, "request failed", slog.String("request", requestID(ctx)), slog.Any("error", err))
	p := internal(ctx)
	switch status {
	case http.StatusServiceUnavailable:
		p = wire.NewProblem(status, "the store does not answer, or the server shuts down; nothing that was accepted is lost; "+
			"try again in a moment, with the same key if this submitted a job")
	case http.StatusGatewayTimeout:
		p = wire.NewProblem(status, fmt.Sprintf("it took longer than %v; it may have been done even so", a.opts.Timeout))
	}
	p.Code, p.Request = functions.ErrorCode(err), requestID(ctx)
	return p
}

// cut reports whether err is that the server, which shuts down, had no more time for the request.
func cut(ctx context.Context, err error) bool {
	return errors.Is(context.Cause(ctx), functions.ErrShutdown) && (errors.Is(err, context.Canceled) || errors.Is(err, functions.ErrShutdown))
}

// gone reports whether err is that the caller did not wait for the answer.
func gone(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) && context.Cause(ctx) == context.Canceled //nolint:errorlint // net/http gives no cause of its own
}

// statusGone is for the log: the caller sees no status. It is nginx's.
var statusGone = functions.HTTPStatus(context.Canceled)

// locate says which part of a submission an error is about.
func locate(err error, body string) string {
	switch {
	case body == "":
		return ""
	case errors.Is(err, functions.ErrUnknownKind):
		return body + ".kind"
	case errors.Is(err, functions.ErrArgs):
		return body + ".args"
	case errors.Is(err, functions.ErrKeyConflict):
		return body + ".key"
	default:
		return body
	}
}

// fail is problem with the headers that belong to it, for a huma handler to return.
func (a *API) fail(ctx context.Context, err error, location string) error {
	if err == nil {
		return nil
	}
	return withHeaders(a.problem(ctx, err, location))
}

func withHeaders(p *wire.Problem) error {
	if p.Status != http.StatusServiceUnavailable {
		return p
	}
	return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {retryAfter}})
}

// bad refuses a part of a request that huma's schema could not.
func bad(ctx context.Context, location, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	p := wire.NewProblem(http.StatusBadRequest, location+": "+text)
	p.Code, p.Request = functions.ErrorCode(functions.ErrInvalid), requestID(ctx)
	p.Errors = []wire.Fault{wire.NewFault(location, text)}
	return p
}

// maxFaults is how many faults a refusal tells. A body can have millions.
const maxFaults = 20

// asProblem is a huma.Transformer: it gives huma's own refusals the form of ours.
func (a *API) asProblem(c huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := wire.NewProblem(m.Status, m.Detail)
	p.Request = requestID(c.Context())
	if broke := requestOf(c.Context()).cut; broke != nil && m.Status == http.StatusInternalServerError {
		p = wire.NewProblem(http.StatusBadRequest, "the request's body broke off: "+broke.Error())
		p.Code, p.Request = functions.ErrorCode(functions.ErrInvalid), requestID(c.Context())
		c.SetStatus(p.Status)
		return p, nil
	}
	if m.Status >= http.StatusInternalServerError {
		a.opts.Log.LogAttrs(c.Context(), slog.LevelError, "request failed", slog.String("request", p.Request), slog.Any("error", m))
		return internal(c.Context()), nil
	}
	if m.Status == http.StatusRequestEntityTooLarge {
		p.Detail = fmt.Sprintf("the request's body is longer than %d bytes", a.opts.MaxBody)
		p.Code = functions.ErrorCode(functions.ErrTooLarge)
		return p, nil
	}
	p.Code = functions.ErrorCode(functions.ErrInvalid)
	for _, d := range m.Errors[:min(len(m.Errors), maxFaults)] {
		p.Errors = append(p.Errors, a.fault(c, d))
	}
	if len(p.Errors) > 0 {
		p.Detail = tell(p.Errors, len(m.Errors))
	}
	return p, nil
}

// tell puts faults into one line; there are so many in all.
func tell(faults []wire.Fault, all int) string {
	first := faults[0].Message
	if faults[0].Location != "" {
		first = faults[0].Location + ": " + first
	}
	if all > 1 {
		return fmt.Sprintf("%s (and %d more, see errors)", wire.Shorten(first, 900), all-1)
	}
	return first
}

// fault is one of huma's error details, with the nearest name if a name is unknown.
func (a *API) fault(c huma.Context, d *huma.ErrorDetail) wire.Fault {
	f := wire.NewFault(d.Location, d.Message)
	f.Value = clip(d.Value)
	switch {
	case d.Message == "unexpected property":
		parent, name := cutLast(d.Location)
		f.Message, f.Value = suggest.Unknown("field", name, a.fields(c.Operation(), parent)), nil
	case d.Location == "body" && strings.Contains(d.Message, huma.ErrUnknownContentType.Error()):
		f.Message, f.Value = fmt.Sprintf("the Content-Type is %.100q; send application/json", c.Header("Content-Type")), nil
	}
	return f
}

// clip shortens a value for an answer.
func clip(v any) any {
	const most = 100
	switch v := v.(type) {
	case nil, bool, float64, int, int64:
		return v
	case string:
		return wire.Shorten(v, most)
	default:
		return nil // objects and arrays: the location says enough
	}
}

// cutLast splits body.jobs[3].kind into body.jobs[3] and kind.
func cutLast(location string) (parent, name string) {
	if i := strings.LastIndexByte(location, '.'); i >= 0 {
		return location[:i], location[i+1:]
	}
	return "", location
}

// fields lists the fields that an object of the request's body may have; location is as in body.jobs[3].
func (a *API) fields(op *huma.Operation, location string) []string {
	media := op.RequestBody.Content["application/json"]
	if media == nil {
		return nil
	}
	registry := a.huma.OpenAPI().Components.Schemas
	follow := func(s *huma.Schema) *huma.Schema {
		if s != nil && s.Ref != "" {
			return registry.SchemaFromRef(s.Ref)
		}
		return s
	}
	s := follow(media.Schema)
	for i, part := range strings.Split(location, ".") {
		name, index, _ := strings.Cut(part, "[")
		if i > 0 && s != nil { // the first is "body"
			s = follow(s.Properties[name])
		}
		if _, err := strconv.Atoi(strings.TrimSuffix(index, "]")); err == nil && s != nil {
			s = follow(s.Items)
		}
	}
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.Properties))
}

// checkQuery is a huma middleware that refuses a query string which huma would read only in part: one that cannot be
// parsed, a parameter that the route does not know, and one that is given twice.
func (a *API) checkQuery(c huma.Context, next func(huma.Context)) {
	var known []string
	for _, p := range c.Operation().Parameters {
		if p.In == "query" {
			known = append(known, p.Name)
		}
	}
	u := c.URL()
	given, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		a.refuseQuery(c, "query", fmt.Sprintf("the query string cannot be read: %v", err))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch times := len(given[name]); {
		case !slices.Contains(known, name):
			a.refuseQuery(c, "query."+name, suggest.Unknown("query parameter", name, known))
			return
		case times > 1:
			a.refuseQuery(c, "query."+name, fmt.Sprintf("the query parameter %s is given %d times; give it once", name, times))
			return
		}
	}
	next(c)
}

func (a *API) refuseQuery(c huma.Context, location, text string) {
	p := wire.NewProblem(http.StatusBadRequest, text)
	p.Code, p.Errors = functions.ErrorCode(functions.ErrInvalid), []wire.Fault{wire.NewFault(location, text)}
	r, w := humago.Unwrap(c)
	a.refuse(w, r, p)
}
