package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/functions/internal/stall"
)

// request is what is known of a request under way.
type request struct {
	id    string
	who   string // the token's name, "" for none
	route string // the pattern, "" for none
	cut   error  // why the body could not be read to its end
}

type requestKey struct{}

// requestOf returns the request that ctx belongs to.
func requestOf(ctx context.Context) *request {
	if q, ok := ctx.Value(requestKey{}).(*request); ok {
		return q
	}
	return &request{}
}

// requestID returns the id of the request that ctx belongs to.
func requestID(ctx context.Context) string { return requestOf(ctx).id }

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := a.rt.Config().Now()
	q := &request{id: givenID(r)}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
	ans := &answer{ResponseWriter: w}
	stall.Guard(w, r, a.opts.Timeout)
	header := w.Header()
	header.Set("X-Request-ID", q.id)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	defer func() { a.finish(recover(), ans, r, q, start) }()
	a.answer(ans, r, q)
}

// answer checks who asks and passes the request on to its route.
func (a *API) answer(w *answer, r *http.Request, q *request) {
	if a.cors(w, r) {
		return
	}
	who, refused := a.authorize(w, r)
	q.who = who
	if refused != nil {
		a.refuse(w, r, refused)
		return
	}
	if (r.URL.Path == "" || r.URL.Path == "/") && !changes(r) {
		q.route = "GET /"
		home(w, r)
		return
	}
	handler, pattern := a.mux.Handler(r)
	if q.route = pattern; pattern == "" || !clean(r.URL.EscapedPath()) {
		a.refuse(w, r, noRoute(handler, w, r))
		return
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") && changes(r) {
		w.Header().Set("Accept-Encoding", "identity")
		p := wire.NewProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("the Content-Encoding is %.60q; send the body as it is, without that header", coding))
		p.Code = functions.ErrorCode(functions.ErrInvalid)
		a.refuse(w, r, p)
		return
	}
	whole := r.Header.Get("Content-Type")
	media, _, _ := strings.Cut(whole, ";")
	if small := strings.ToLower(media); small != media { // huma compares bytes
		r.Header.Set("Content-Type", small+whole[len(media):])
	}
	a.route(w, r, q)
}

// home leads to /docs. The Location is relative, so that it stays below a prefix. A prefix that was asked for without a
// slash at its end leaves no path, and its last part then belongs to the Location.
func home(w http.ResponseWriter, r *http.Request) {
	to := "docs"
	if asked, _, _ := strings.Cut(r.RequestURI, "?"); r.URL.Path == "" {
		to = path.Base(asked) + "/docs"
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}

// route has the request's route answer it, within bounds.
func (a *API) route(w http.ResponseWriter, r *http.Request, q *request) {
	limit := a.opts.Timeout
	switch q.route {
	case outputPattern:
		a.mux.ServeHTTP(w, r) // it sets deadlines of its own
		return
	case waitPattern:
		limit += a.opts.WaitMax
	case listPattern, countPattern, parkedPattern:
		if !a.lists.enter(r.Context(), limit/2) {
			a.refuse(w, r, wire.NewProblem(http.StatusServiceUnavailable, fmt.Sprintf("this server makes %d lists at once, and as many "+
				"requests as may wait for that do; try again in a moment", a.opts.MaxLists)))
			return
		}
		defer a.lists.leave()
		w = &paced{w, time.Now().Add(2 * limit)}
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	deadline(w, 2*limit)
	r.Body = &noted{http.MaxBytesReader(w, r.Body, a.opts.MaxBody+1), q}
	a.mux.ServeHTTP(w, r.WithContext(traced(ctx, r.Header)))
}

// clean reports whether a path is as routes have it. A ServeMux redirects others to where it would be, which is wrong when
// a handler before it has taken a prefix off.
func clean(p string) bool {
	return strings.TrimSuffix(p, "/") == strings.TrimSuffix(path.Clean(p), "/")
}

// noted is a body that notes why it could not be read to its end.
type noted struct {
	io.ReadCloser

	request *request
}

// Read reads on.
func (b *noted) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.request.cut = err
	}
	return n, err //nolint:wrapcheck // passed through
}

// deadline is until when what is written must have been taken by the other side. A ResponseWriter that knows no
// deadlines has none.
func deadline(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
}

// noRoute says why no route matches: there is none, or it has other methods.
func noRoute(handler http.Handler, w http.ResponseWriter, r *http.Request) *wire.Problem {
	rec := &discard{header: http.Header{}}
	handler.ServeHTTP(rec, r)
	if rec.status == http.StatusMethodNotAllowed {
		allow := rec.header.Get("Allow")
		w.Header().Set("Allow", allow)
		return wire.NewProblem(rec.status, fmt.Sprintf("%.20s is not possible here; possible are %s", r.Method, allow))
	}
	return wire.NewProblem(http.StatusNotFound, fmt.Sprintf("there is no route %.200q; GET /openapi.json lists them", r.URL.Path))
}

// finish turns a panic into a problem, and logs the request.
func (a *API) finish(crashed any, w *answer, r *http.Request, q *request, start time.Time) {
	if crashed == http.ErrAbortHandler { //nolint:errorlint // a panic's value, compared as net/http does
		panic(crashed)
	}
	attrs := []slog.Attr{
		slog.String("request", q.id), slog.String("method", r.Method), slog.String("route", q.route),
		slog.String("path", r.URL.Path), slog.Duration("took", a.rt.Config().Now().Sub(start)),
	}
	if q.who != "" {
		attrs = append(attrs, slog.String("token", q.who))
	}
	if crashed != nil && w.failed != nil { // huma panics then
		a.opts.Log.LogAttrs(r.Context(), slog.LevelInfo, "answer not taken", append(attrs, slog.Int("status", w.status),
			slog.Int64("bytes", w.bytes), slog.Any("error", w.failed))...)
		panic(http.ErrAbortHandler)
	}
	if crashed != nil {
		a.opts.Log.LogAttrs(r.Context(), slog.LevelError, "request panicked",
			append(attrs, slog.Any("panic", crashed), slog.String("stack", string(debug.Stack())))...)
		if w.status != 0 {
			panic(http.ErrAbortHandler) // too late for a problem: cut the answer off, so that it is not taken for whole
		}
		a.refuse(w, r, internal(r.Context()))
	}
	level := slog.LevelDebug
	switch {
	case w.status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case w.status >= http.StatusBadRequest:
		level = slog.LevelInfo
	}
	a.opts.Log.LogAttrs(r.Context(), level, "request", append(attrs, slog.Int("status", w.status), slog.Int64("bytes", w.bytes))...)
}

// givenID is the request's id: the caller's, if it sent a sensible one.
func givenID(r *http.Request) string {
	id := r.Header.Get("X-Request-ID")
	if id == "" || len(id) > 64 {
		return uuid.NewString()
	}
	for _, c := range id {
		if c <= ' ' || c > '~' {
			return uuid.NewString()
		}
	}
	return id
}

// answer notes what was answered.
type answer struct {
	http.ResponseWriter

	status int
	bytes  int64
	failed error // why the other side did not take all of it
}

// WriteHeader notes the status. The first one stands: huma sets its own after asProblem has set one.
func (w *answer) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	if status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes how much was written.
func (w *answer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.failed != nil {
		return 0, w.failed // the other side need not be waited for again
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	if err != nil {
		w.failed = err
	}
	return n, err //nolint:wrapcheck // passed through
}

// Unwrap gives http.ResponseController the writer that knows deadlines.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// discard is a ResponseWriter that keeps the header and the status only.
type discard struct {
	header http.Header
	status int
}

// Header gives the header.
func (w *discard) Header() http.Header { return w.header }

// WriteHeader notes the status.
func (w *discard) WriteHeader(status int) { w.status = status }

// Write drops what is written.
func (w *discard) Write(p []byte) (int, error) { return len(p), nil }

// traced returns ctx within the trace that a request brings, as W3C has it, so that a job that it submits joins that;
// unless a handler before this one has found it there.
func traced(ctx context.Context, header http.Header) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
}
