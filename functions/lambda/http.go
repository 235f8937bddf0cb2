package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/internal/guard"
)

// HTTP returns the handler that answers HTTP requests with h. They may come from a function URL,
// from an HTTP API of API Gateway (payload 2.0 or 1.0) or from a REST API. The answer is in one
// piece, at most 6 MB; see Stream for longer ones.
//
// The request's context ends shortly before the function's timeout. CallerOf returns whom IAM has
// let in.
func HTTP(h http.Handler) (Handler, error) {
	if h == nil {
		return nil, fmt.Errorf("%w: lambda: HTTP needs an http.Handler", functions.ErrConfig)
	}
	return func(ctx context.Context, payload json.RawMessage) (any, error) {
		ctx, cancel := shorter(ctx)
		defer cancel()
		r, old, err := request(ctx, payload)
		if err != nil {
			return nil, err
		}
		w := &recorder{header: http.Header{}, head: r.Method == http.MethodHead}
		if err := serve(h, w, r); err != nil && !errors.Is(err, http.ErrAbortHandler) {
			return nil, err
		} else if err != nil {
			w.refuse(brokenOff())
		}
		return w.answer(old), nil
	}, nil
}

// serve calls h. A panic is an error with its stack: the process can go on.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) error {
	err := guard.Call(func() error { h.ServeHTTP(w, r); return nil })
	p, panicked := errors.AsType[*guard.Panic](err)
	switch {
	case err == nil:
		return nil
	case panicked && p.Value == http.ErrAbortHandler: //nolint:errorlint // a panic's value, compared as net/http does
		return http.ErrAbortHandler
	default:
		return fmt.Errorf("answer %s %s: %w\n%s", r.Method, r.URL.Path, err, guard.StackOf(err))
	}
}

// shorter returns a context that ends before the platform's deadline, so that there is time to
// answer.
func shorter(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-reserve(time.Until(deadline))))
}

// request makes a request of an event. old says that the answer must have the form of payload 1.0.
func request(ctx context.Context, payload json.RawMessage) (r *http.Request, old bool, err error) {
	var form struct {
		Version    string `json:"version"`
		HTTPMethod string `json:"httpMethod"`
	}
	if err := json.Unmarshal(payload, &form); err != nil {
		return nil, false, wrongEvent("api", payload)
	}
	switch {
	case form.Version == "2.0":
		var e events.APIGatewayV2HTTPRequest // events of function URLs have the same form
		if err := json.Unmarshal(payload, &e); err != nil || e.RequestContext.HTTP.Method == "" {
			return nil, false, wrongEvent("api", payload)
		}
		r, err = requestV2(ctx, &e)
		return r, false, err
	case form.HTTPMethod != "":
		var e restRequest
		if err := json.Unmarshal(payload, &e); err != nil {
			return nil, false, wrongEvent("api", payload)
		}
		r, err = requestV1(ctx, &e)
		return r, true, err
	}
	return nil, false, wrongEvent("api", payload)
}
