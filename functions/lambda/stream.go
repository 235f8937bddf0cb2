package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdaurl"

	"github.com/piecework/piecework/functions"
)

// Stream returns the handler that answers HTTP requests of a function URL with h. It sends the
// answer while h writes it, and has no limit on its length. The URL's invoke mode must be
// RESPONSE_STREAM. For requests see HTTP.
func Stream(h http.Handler) (Handler, error) {
	if h == nil {
		return nil, fmt.Errorf("%w: lambda: Stream needs an http.Handler", functions.ErrConfig)
	}
	return func(ctx context.Context, payload json.RawMessage) (any, error) {
		var e events.LambdaFunctionURLRequest
		if err := json.Unmarshal(payload, &e); err != nil || e.RequestContext.HTTP.Method == "" {
			return nil, wrongEvent("api", payload)
		}
		r, old, err := request(ctx, payload)
		if err != nil {
			return nil, err
		}
		if old {
			return nil, errors.New("the function \"api\" streams, which a function URL can take and API Gateway cannot: unset PIECEWORK_STREAM")
		}
		var failure atomic.Pointer[error]
		answer := lambdaurl.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			ctx, cancel := shorter(r.Context())
			defer cancel()
			out := &streamed{ResponseWriter: w}
			if err := serve(h, out, r.WithContext(ctx)); err != nil {
				failure.Store(&err)
				out.WriteHeader(http.StatusBadGateway) // unless it is too late for that
			}
		}))
		e.RawPath, e.RawQueryString = "/", "" // lambdaurl's own request is not used, and must not fail
		response, err := answer(ctx, &e)
		if err != nil {
			return nil, fmt.Errorf("stream the answer: %w", err)
		}
		response.Body = &whole{response.Body, &failure}
		return response, nil
	}, nil
}

// streamed drops the length from the header, because AWS sends in chunks.
type streamed struct {
	http.ResponseWriter

	begun bool
}

// WriteHeader passes the status on.
func (w *streamed) WriteHeader(status int) {
	if status < http.StatusOK || w.begun {
		return
	}
	w.begun = true
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(status)
}

// Write passes on.
func (w *streamed) Write(p []byte) (int, error) {
	if !w.begun {
		if w.Header().Get("Content-Type") == "" && len(p) > 0 {
			w.Header().Set("Content-Type", http.DetectContentType(p))
		}
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // passed through
}

// whole is a body whose end is an error if the handler broke off, so that the caller does not take
// it for whole.
type whole struct {
	io.Reader

	failure *atomic.Pointer[error]
}

// Read reads on.
func (b *whole) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if failed := b.failure.Load(); failed != nil && errors.Is(err, io.EOF) {
		return n, *failed
	}
	return n, err //nolint:wrapcheck // io.EOF must stay io.EOF
}

// Close ends the handler's writing when the answer is not read any more.
func (b *whole) Close() error {
	if c, ok := b.Reader.(io.Closer); ok {
		return c.Close() //nolint:wrapcheck // passed through
	}
	return nil
}
