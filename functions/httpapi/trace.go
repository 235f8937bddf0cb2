package httpapi

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traced returns ctx within the trace that a request brings, as W3C has it, so that a job that it submits joins that;
// unless a handler before this one has found it there.
func traced(ctx context.Context, header http.Header) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
}
