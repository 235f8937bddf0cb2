package functions

import (
	"context"
	"reflect"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// scope is the name under which spans and metrics are made.
const scope = "github.com/piecework/piecework/functions"

// The attributes of spans; the metrics have the kind, the queue and the outcome only. Those of OpenTelemetry's messaging
// conventions are used where they fit: a queue is a destination.
const (
	keyJob       = attribute.Key("piecework.job.id")
	keyKind      = attribute.Key("piecework.job.kind")
	keyState     = attribute.Key("piecework.job.state")
	keyExisting  = attribute.Key("piecework.job.existing")
	keyAttempt   = attribute.Key("piecework.attempt")
	keyOutcome   = attribute.Key("piecework.outcome")
	keyQueue     = attribute.Key("messaging.destination.name")
	keyOperation = attribute.Key("messaging.operation.name")
	keyType      = attribute.Key("messaging.operation.type")
	keyBatch     = attribute.Key("messaging.batch.message_count")
	keyMessage   = attribute.Key("messaging.message.id")
)

var system = attribute.String("messaging.system", "piecework")

// telemetry tells OpenTelemetry what this process does.
type telemetry struct {
	tracing

	*meters
}

func newTelemetry(tp trace.TracerProvider, mp metric.MeterProvider) (*telemetry, error) {
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	m, err := newMeters(mp.Meter(scope))
	if err != nil {
		return nil, err
	}
	t := &telemetry{meters: m}
	t.provide(tp)
	return t, nil
}

// tracing makes spans. Where there is nobody to take them it makes none, rather than empty ones: those would cost every
// job some allocations.
type tracing struct {
	tracer atomic.Pointer[trace.Tracer] // nil: nobody takes spans
	idle   trace.TracerProvider         // otel's global provider, as long as it waits for the program to set one; else nil
}

// provide says where spans go: nil, to otel's global provider, also if that is set later.
func (t *tracing) provide(tp trace.TracerProvider) {
	if tp == nil {
		if tp = otel.GetTracerProvider(); waits(tp) {
			t.idle = tp
			return
		}
	}
	if _, none := tp.(noop.TracerProvider); !none {
		tracer := tp.Tracer(scope)
		t.tracer.Store(&tracer)
	}
}

// waits reports whether a provider is the one that otel starts with, and that forwards to the one that the program sets.
func waits(tp trace.TracerProvider) bool {
	t := reflect.TypeOf(tp)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// on returns the tracer, or nil if nobody takes spans.
func (t *tracing) on() trace.Tracer {
	if p := t.tracer.Load(); p != nil {
		return *p
	}
	if t.idle == nil {
		return nil
	}
	tp := otel.GetTracerProvider()
	if tp == t.idle {
		return nil
	}
	tracer := tp.Tracer(scope)
	t.tracer.Store(&tracer)
	return tracer
}

// carried returns a trace in the form in which records and messages carry it: W3C's traceparent and tracestate.
func carried(sc trace.SpanContext) map[string]string {
	if !sc.IsValid() {
		return nil
	}
	m := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), m)
	return pubsubq.TraceOf(m)
}

// remote is the inverse of carried; what cannot be read is no trace.
func remote(m map[string]string) trace.SpanContext {
	if len(m) == 0 {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier(m)))
}

// within returns ctx within the trace that m carries, unless it is in that trace already: then the span that ctx has is
// the nearer parent.
func within(ctx context.Context, m map[string]string) context.Context {
	sc := remote(m)
	if !sc.IsValid() || sc.TraceID() == trace.SpanContextFromContext(ctx).TraceID() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc)
}

// about are the attributes of every span about a job.
func about(j store.Job, operation, kind string) []attribute.KeyValue {
	return []attribute.KeyValue{
		system, keyOperation.String(operation), keyType.String(kind), keyQueue.String(orDefault(j.Queue)),
		keyJob.String(j.ID), keyKind.String(j.Kind),
	}
}
