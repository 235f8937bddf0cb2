package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"time"

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
	job, err := a.act(ctx, in.ID, a.client.Get)
	if err != nil {
		return nil, err
	}
	outputs := job.Body.Outputs
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
	info, modified, err := a.findOutput(about, id, name)
	cancel()
	if err != nil {
		deadline(w, a.opts.Timeout)
		a.refuse(w, r, a.problem(ctx, err, ""))
		return
	}
	header := w.Header()
	header.Set("Content-Type", info.ContentType)
	if info.ContentType == "" {
		header.Set("Content-Type", "application/octet-stream")
	}
	// What a job wrote is data: a browser must neither show it as a page of this server nor run it.
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(name)}))
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Cache-Control", "private, no-cache")
	if info.SHA256 != "" {
		header.Set("ETag", `"`+info.SHA256+`"`)
	}
	file := &outputFile{api: a, ctx: ctx, id: id, name: name, size: info.Size}
	defer file.Close()
	out := &outputWriter{ResponseWriter: w, api: a, request: r, size: info.Size}
	http.ServeContent(out, r, "", modified, file)
	if file.err != nil {
		a.opts.Log.LogAttrs(ctx, slog.LevelError, "output cannot be read", slog.String("request", requestID(ctx)),
			slog.String("job", id), slog.String("output", name), slog.Any("error", file.err))
		panic(http.ErrAbortHandler) // the caller must not take what it got for the whole
	}
}

// findOutput looks up one output, and when its job ended.
func (a *API) findOutput(ctx context.Context, id, name string) (functions.OutputInfo, time.Time, error) {
	if err := checkID(id); err != nil {
		return functions.OutputInfo{}, time.Time{}, err
	}
	job, err := a.client.Get(ctx, id)
	if err != nil {
		return functions.OutputInfo{}, time.Time{}, err //nolint:wrapcheck // it names the job
	}
	for _, o := range job.Outputs {
		if o.Name == name {
			return o, job.Ended, nil
		}
	}
	if !job.Done() {
		return functions.OutputInfo{}, time.Time{}, fmt.Errorf("%w: %q of job %s, which is %s: outputs are visible when it has succeeded",
			functions.ErrNoOutput, name, id, job.State)
	}
	return functions.OutputInfo{}, time.Time{}, fmt.Errorf("%w: %q of job %s%s", functions.ErrNoOutput, name, id, hasOutputs(job, name))
}

// hasOutputs says which outputs a job has, for somebody who asked for another.
func hasOutputs(job functions.Info, name string) string {
	var names []string
	for _, o := range job.Outputs {
		names = append(names, o.Name)
	}
	if near := wire.Nearest(name, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	if len(names) == 0 {
		return fmt.Sprintf(", which is %s and has none", job.State)
	}
	if len(names) > 20 {
		return fmt.Sprintf("; it has %d others", len(names))
	}
	return fmt.Sprintf("; it has %q", names)
}

// outputFile reads an output from where it is asked to, and opens it only when it is read.
type outputFile struct {
	api      *API
	ctx      context.Context
	id, name string
	size, at int64
	open     io.ReadCloser
	err      error
}

var errWhence = errors.New("seek to before the start of an output")

// Seek moves to where the next Read begins.
func (f *outputFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.size
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
	if f.at >= f.size {
		return 0, io.EOF
	}
	if f.open == nil {
		r, _, err := f.api.client.OpenOutput(f.ctx, f.id, f.name, f.at, -1)
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

// outputWriter gives a slow reader time as long as it reads on, and turns net/http's refusals into problems.
type outputWriter struct {
	http.ResponseWriter

	api     *API
	request *http.Request
	size    int64
	refused bool
}

// WriteHeader passes a status on, or writes a problem in its place.
func (w *outputWriter) WriteHeader(status int) {
	deadline(w.ResponseWriter, w.api.opts.Timeout)
	if status < http.StatusBadRequest || status == http.StatusPreconditionFailed {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.refused = true
	detail := http.StatusText(status)
	if status == http.StatusRequestedRangeNotSatisfiable {
		detail = fmt.Sprintf("the range %.60q cannot be had: the output has %d bytes, numbered from 0; ask as in bytes=0-99",
			w.request.Header.Get("Range"), w.size)
	}
	for _, name := range []string{"Content-Disposition", "ETag", "Last-Modified", "Content-Length"} {
		w.Header().Del(name)
	}
	w.api.refuse(w.ResponseWriter, w.request, wire.NewProblem(status, detail))
}

// Write passes on, unless a problem was written.
func (w *outputWriter) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	deadline(w.ResponseWriter, w.api.opts.Timeout)
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // passed through
}
