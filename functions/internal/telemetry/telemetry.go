// Package telemetry reports to OpenTelemetry what a process does with jobs. The comment of package
// functions lists the spans and metrics.
//
// telemetry.go connects to the providers, trace.go carries traces through records and messages,
// spans.go has the spans, metrics.go the metrics.
package telemetry

import (
	"cmp"
	"reflect"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/piecework/piecework/store"
)

// scope is the name under which spans and metrics are made.
const scope = "github.com/piecework/piecework/functions"

// The attributes of spans. Metrics have the kind, the queue and the outcome only. The names are of
// OpenTelemetry's messaging conventions where these fit: a queue is a destination.
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

// Options configure Telemetry. Now and DefaultQueue are required.
type Options struct {
	TracerProvider trace.TracerProvider // nil: otel's global provider, even if the program sets it later
	MeterProvider  metric.MeterProvider // nil: the same
	Now            func() time.Time
	DefaultQueue   string // of jobs whose record names no queue
}

// Telemetry makes the spans and metrics of a process. It is safe for concurrent use.
type Telemetry struct {
	instruments

	tracer       atomic.Pointer[trace.Tracer] // nil: no provider takes spans
	idle         trace.TracerProvider         // otel's initial provider while the program has set none; else nil
	now          func() time.Time
	defaultQueue string
}

// New returns the telemetry of a process.
func New(o Options) (*Telemetry, error) {
	t := &Telemetry{now: o.Now, defaultQueue: o.DefaultQueue}
	t.provide(o.TracerProvider)
	meters := o.MeterProvider
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	return t, t.create(meters.Meter(scope))
}

// provide selects the provider of spans. A provider that drops all spans gets none, because empty
// spans would cost every job some allocations.
func (t *Telemetry) provide(tp trace.TracerProvider) {
	if tp == nil {
		if tp = otel.GetTracerProvider(); forwards(tp) {
			t.idle = tp
			return
		}
	}
	if _, none := tp.(noop.TracerProvider); !none {
		t.use(tp)
	}
}

func (t *Telemetry) use(tp trace.TracerProvider) trace.Tracer {
	tracer := tp.Tracer(scope)
	t.tracer.Store(&tracer)
	return tracer
}

// forwards reports whether a provider is otel's initial one, which forwards to the provider that
// the program sets.
func forwards(tp trace.TracerProvider) bool {
	t := reflect.TypeOf(tp)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// on returns the tracer, or nil if no provider takes spans.
func (t *Telemetry) on() trace.Tracer {
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
	return t.use(tp)
}

func (t *Telemetry) queue(j store.Job) string { return cmp.Or(j.Queue, t.defaultQueue) }
