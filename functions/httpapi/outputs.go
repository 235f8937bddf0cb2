package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

const outputPattern = "GET /v1/jobs/{id}/outputs/{name...}"

type outputsOutput struct{ Body wire.Outputs }

func (a *API) outputRoutes() {
	op := a.operation("list-outputs", http.MethodGet, "/v1/jobs/{id}/outputs", "List a job's files", "outputs")
	op.Description = "Files are visible when the job has succeeded; before, and otherwise, there are none."
	huma.Register(a.huma, op, a.outputs)
	a.mux.HandleFunc(outputPattern, a.output)
	a.describeOutput()
}

func (a *API) outputs(ctx context.Context, in *jobInput) (*outputsOutput, error) {
	if err := checkID(in.ID); err != nil {
		return nil, a.fail(ctx, err, "")
	}
	outputs, err := a.client.Outputs(ctx, in.ID)
	if err != nil {
		return nil, a.fail(ctx, err, "")
	}
	if outputs == nil {
		outputs = []functions.OutputInfo{}
	}
	return &outputsOutput{wire.Outputs{Outputs: outputs}}, nil
}

// output sends a file of a job, or the ranges of it that were asked for.
func (a *API) output(w http.ResponseWriter, r *http.Request) {
	ctx, id, name := r.Context(), r.PathValue("id"), r.PathValue("name")
	if len(r.URL.RawQuery) > 0 {
		a.refuse(w, r, wire.NewProblem(http.StatusBadRequest, "this route has no query parameters"))
		return
	}
	about, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	found, err := a.findOutput(about, id, name)
	cancel()
	if err != nil {
		deadline(w, a.opts.Timeout)
		a.refuse(w, r, a.problem(ctx, err, ""))
		return
	}
	header := w.Header()
	header.Set("Content-Type", cmp.Or(found.ContentType, "application/octet-stream"))
	// What a job wrote is data: a browser must neither show it as a page of this server nor run it.
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(name)}))
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Cache-Control", "private, no-cache")
	if found.SHA256 != "" {
		header.Set("ETag", `"`+found.SHA256+`"`)
	}
	file := &outputFile{OutputFile: found, ctx: ctx}
	defer file.Close()
	out := &outputWriter{ResponseWriter: w, api: a, request: r, size: found.Size}
	if strings.Count(r.Header.Get("Range"), ",") >= maxRanges {
		header.Set("Content-Range", fmt.Sprintf("bytes */%d", found.Size))
		out.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return
	}
	http.ServeContent(out, r, "", found.Ended, file)
	switch {
	case file.err != nil && out.status != 0: // nothing was sent yet
		p := a.problem(ctx, file.err, "")
		if p.Status == http.StatusInternalServerError {
			p.Detail = fmt.Sprintf("output %q cannot be read from the blob store; the server's log says why, under request %s", name, requestID(ctx))
		}
		out.refuse(p)
	case file.err != nil:
		a.opts.Log.LogAttrs(ctx, slog.LevelError, "output cannot be read", slog.String("request", requestID(ctx)),
			slog.String("job", id), slog.String("output", name), slog.Any("error", file.err))
		panic(http.ErrAbortHandler) // the caller must not take what it got for the whole
	default:
		out.start()
	}
}

// maxRanges is how many ranges of a file one request may ask for. Each opens the file.
const maxRanges = 8

// findOutput looks up one output.
func (a *API) findOutput(ctx context.Context, id, name string) (*functions.OutputFile, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	return a.client.FindOutput(ctx, id, name) //nolint:wrapcheck // it names the job
}

// outputFile reads an output from where it is asked to, and opens it only when it is read.
type outputFile struct {
	*functions.OutputFile

	ctx  context.Context
	at   int64
	open io.ReadCloser
	err  error
}

var errWhence = errors.New("seek to before the start of an output")

// Seek moves to where the next Read begins.
func (f *outputFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.Size
	}
	if offset < 0 {
		return 0, errWhence
	}
	if offset != f.at {
		f.Close()
	}
	f.at = offset
	return offset, nil
}

// Read reads on.
func (f *outputFile) Read(p []byte) (int, error) {
	if f.at >= f.Size {
		return 0, io.EOF
	}
	if f.open == nil {
		r, err := f.Open(f.ctx, f.at, -1)
		if err != nil {
			f.err = err
			return 0, err //nolint:wrapcheck // it names the output
		}
		f.open = r
	}
	n, err := f.open.Read(p)
	f.at += int64(n)
	if err != nil && !errors.Is(err, io.EOF) && f.ctx.Err() == nil {
		f.err = err
	}
	return n, err //nolint:wrapcheck // io.EOF must stay io.EOF
}

// Close closes what is open; the file can be read again after a Seek.
func (f *outputFile) Close() {
	if f.open != nil {
		_ = f.open.Close()
		f.open = nil
	}
}

// outputWriter gives a slow reader time as long as it reads on, and turns net/http's refusals into problems. It
// sends the status with the first bytes, so that an output that cannot be read becomes a problem too.
type outputWriter struct {
	http.ResponseWriter

	api     *API
	request *http.Request
	size    int64
	status  int // to be sent; 0: none, or it was sent
	refused bool
}

// WriteHeader keeps a status for start, or writes a problem instead.
func (w *outputWriter) WriteHeader(status int) {
	deadline(w.ResponseWriter, w.api.opts.Timeout)
	if status < http.StatusBadRequest || status == http.StatusPreconditionFailed {
		w.status = status
		return
	}
	detail := http.StatusText(status)
	if status == http.StatusRequestedRangeNotSatisfiable {
		detail = fmt.Sprintf("the range %.60q cannot be had: the output has %d bytes, numbered from 0; ask as in bytes=0-99, "+
			"for at most %d ranges", w.request.Header.Get("Range"), w.size, maxRanges)
	}
	w.refuse(wire.NewProblem(status, detail))
}

// refuse writes a problem.
func (w *outputWriter) refuse(p *wire.Problem) {
	w.status, w.refused = 0, true
	for _, name := range []string{"Content-Disposition", "ETag", "Last-Modified", "Content-Length", "Accept-Ranges"} {
		w.Header().Del(name)
	}
	if p.Status != http.StatusRequestedRangeNotSatisfiable {
		w.Header().Del("Content-Range")
	}
	w.api.refuse(w.ResponseWriter, w.request, p)
}

// start sends the status, if one is to be sent.
func (w *outputWriter) start() {
	if w.status != 0 {
		w.ResponseWriter.WriteHeader(w.status)
		w.status = 0
	}
}

// Write passes bytes on, unless a problem was written.
func (w *outputWriter) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	deadline(w.ResponseWriter, w.api.opts.Timeout)
	w.start()
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // passed through
}
