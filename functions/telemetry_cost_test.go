package functions

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/piecework/piecework/store"
)

// Where nobody takes spans and metrics, all that is done for them during a job costs no allocation.
func TestTelemetryForNobodyAllocatesNothing(t *testing.T) {
	for name, cfg := range map[string]Config{
		"otel's global providers": {},
		"none":                    {TracerProvider: noop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider()},
	} {
		tel, err := newTelemetry(cfg.TracerProvider, cfg.MeterProvider)
		if err != nil {
			t.Fatal(err)
		}
		rt := &Runtime{cfg: Config{Now: time.Now}, tel: tel}
		ctx := t.Context()
		j := store.Job{ID: "j", Kind: "a.b", State: store.Succeeded, Lease: &store.Lease{}}
		a := &Attempt{rt: rt, job: j}
		allocs := testing.AllocsPerRun(100, func() {
			_, span := rt.submitSpan(ctx, &j)
			tel.count(ctx, tel.submitted, j, "")
			rt.endSpan(span, nil)
			tel.claimed(ctx, j)
			a.span = rt.runSpan(ctx, j, nil, 1)
			_ = a.withSpan(ctx)
			rt.countEnd(ctx, j)
			tel.ran(ctx, j, store.Finish{}, 1)
			tel.runs(ctx, j, -1)
			a.endRunSpan(j, store.Finish{}, nil)
			_ = rt.looked(ctx, j, store.ActionStarted)
			tel.sweeps(ctx, SweepResult{}, false)
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
