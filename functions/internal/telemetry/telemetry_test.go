package telemetry

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/piecework/piecework/store"
)

// If no provider takes spans and metrics, what is done for them during a job costs no allocation.
func TestTelemetryWithoutProvidersAllocatesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		spans   trace.TracerProvider
		metrics metric.MeterProvider
	}{
		"otel's global providers": {},
		"none":                    {noop.NewTracerProvider(), metricnoop.NewMeterProvider()},
	} {
		t.Run(name, func(t *testing.T) {
			tel, err := New(Options{TracerProvider: c.spans, MeterProvider: c.metrics, Now: time.Now, DefaultQueue: "default"})
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			j := store.Job{ID: "j", Kind: "a.b", State: store.Succeeded, Lease: &store.Lease{}}
			allocs := testing.AllocsPerRun(100, func() {
				_, span := tel.StartSubmit(ctx, &j)
				tel.CountSubmitted(ctx, j)
				tel.End(span, nil)
				tel.CountClaim(ctx, j)
				span = tel.StartRun(ctx, j, nil, 1)
				_ = WithSpan(ctx, span, j.Trace)
				tel.CountEnd(ctx, j)
				tel.CountAttempt(ctx, j, store.Finish{}, 1)
				tel.CountRunning(ctx, j, -1)
				tel.EndRun(span, j, store.Finish{}, nil)
				_ = tel.RecordSweep(ctx, j, store.ActionStarted)
				tel.RecordLag(ctx, 0, false)
			})
			if allocs != 0 {
				t.Errorf("%v allocations a job, want none", allocs)
			}
		})
	}
}

// A program may set otel's global provider after it has made the runtime.
func TestGlobalProviderThatIsSetLateIsUsed(t *testing.T) {
	tel, err := New(Options{Now: time.Now, DefaultQueue: "default"})
	if err != nil {
		t.Fatal(err)
	}
	j := store.Job{Kind: "a.b"}
	if _, span := tel.StartSubmit(t.Context(), &j); span != nil {
		t.Fatal("there is a span before the program has set a provider")
	}
	before := otel.GetTracerProvider()
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	otel.SetTracerProvider(sdktrace.NewTracerProvider())
	if _, span := tel.StartSubmit(t.Context(), &j); span == nil || j.Trace["traceparent"] == "" {
		t.Errorf("span %v and trace %v after the program has set a provider, want both", span, j.Trace)
	}
}

// The global provider keeps nothing of what has been closed, whether the program sets a provider or not.
func TestWhatIsClosedIsFreed(t *testing.T) {
	closed := func() weak.Pointer[Telemetry] {
		tel, err := New(Options{Now: time.Now, DefaultQueue: "default"})
		if err != nil {
			t.Fatal(err)
		}
		if err := tel.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
		return weak.Make(tel)
	}()
	for range 10 {
		runtime.GC()
	}
	if closed.Value() != nil {
		t.Error("it is still reachable, want it collected")
	}
}
