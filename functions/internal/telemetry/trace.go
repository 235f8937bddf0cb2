package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/piecework/piecework/pubsubq"
)

// carry returns a trace in the form in which records and messages carry it: W3C's traceparent and
// tracestate.
func carry(sc trace.SpanContext) map[string]string {
	if !sc.IsValid() {
		return nil
	}
	m := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), m)
	return pubsubq.TraceOf(m)
}

// remote is the inverse of carry. It returns no trace if m has none that can be read.
func remote(m map[string]string) trace.SpanContext {
	if len(m) == 0 {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier(m)))
}

// Within returns ctx with the remote span that m carries as the parent. If ctx is in the same
// trace, its own span is the nearer parent, and Within returns ctx as it is.
func Within(ctx context.Context, m map[string]string) context.Context {
	sc := remote(m)
	if !sc.IsValid() || sc.TraceID() == trace.SpanContextFromContext(ctx).TraceID() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc)
}

// WithSpan returns ctx with the span of an attempt. If span is nil, because no provider takes
// spans, it returns ctx within the trace that the job carries, so that what the handler calls joins
// that trace.
func WithSpan(ctx context.Context, span trace.Span, jobTrace map[string]string) context.Context {
	if span != nil {
		return trace.ContextWithSpan(ctx, span)
	}
	return Within(ctx, jobTrace)
}

// links returns links to other contexts than the parent, for instance to the invocation in which
// the span is made.
func links(parent context.Context, others ...trace.SpanContext) []trace.SpanStartOption {
	have := trace.SpanContextFromContext(parent)
	var opts []trace.SpanStartOption
	for _, sc := range others {
		if sc.IsValid() && !(sc.TraceID() == have.TraceID() && sc.SpanID() == have.SpanID()) {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: sc}))
		}
	}
	return opts
}
