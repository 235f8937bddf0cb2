package program_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/piecework/piecework/infra/program"
)

// away is an exporter whose collector does not answer.
type away struct{}

// ExportSpans waits for as long as it may.
func (away) ExportSpans(ctx context.Context, _ []sdktrace.ReadOnlySpan) error {
	<-ctx.Done()
	return errors.New("the collector is away")
}

// Shutdown has nothing to do.
func (away) Shutdown(context.Context) error { return nil }

// provide sets the global provider of spans, which sends them to an exporter at last when it is
// told to.
func provide(t *testing.T, to sdktrace.SpanExporter) {
	t.Helper()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithBatcher(to, sdktrace.WithBatchTimeout(time.Hour))))
	t.Cleanup(func() { otel.SetTracerProvider(before) })
}

// runOne runs one job in a worker, and ends it.
func (w *world) runOne() *process {
	w.t.Helper()
	p := w.launch("worker")
	client, _ := w.beside()
	receipt, err := client.Submit(w.t.Context(), "test.double", 21)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := client.Wait(w.t.Context(), receipt.ID); err != nil {
		w.t.Fatal(err)
	}
	p.stop()
	if status := p.ends(); status != 0 {
		w.t.Errorf("status %d:\n%s", status, p.errs)
	}
	return p
}

// The program ends the process, so nobody else could have the last spans sent.
func TestWhatSpansAreHeldIsSentAtTheEnd(t *testing.T) {
	sent := tracetest.NewInMemoryExporter()
	provide(t, sent)
	newWorld(t).runOne()
	if !slices.ContainsFunc(sent.GetSpans(), func(s tracetest.SpanStub) bool { return s.Name == "run test.double" }) {
		t.Errorf("of the job that ran there is no span: %v", sent.GetSpans())
	}
}

func TestACollectorThatIsAwayKeepsNobody(t *testing.T) {
	provide(t, away{})
	begin := time.Now()
	p := newWorld(t).runOne()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	want(t, p.errs.String(), "the last spans or metrics could not be sent")
}

// Who reads a log wants "1.5s" and not 1500000000, on every platform.
func TestDurationsInTheLogCanBeRead(t *testing.T) {
	for name, message := range map[string]string{"": `"msg":"done"`, "K_REVISION": `"message":"done"`} {
		w := newWorld(t)
		if name != "" {
			w.env[name] = "jobs-00001-abc"
		}
		var log buffer
		d, err := program.Open(t.Context(), w.environ(), &log, w.jobs, w.register...)
		if err != nil {
			t.Fatal(err)
		}
		d.Log.LogAttrs(t.Context(), slog.LevelInfo, "done", slog.Duration("took", 1500*time.Millisecond),
			slog.Group("of", slog.Any("lease", time.Minute)))
		if err := d.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		want(t, log.String(), message, `"took":"1.5s"`, `"of":{"lease":"1m0s"}`)
	}
}
