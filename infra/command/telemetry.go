package command

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
)

// flushTime is how long exporters have to send what they hold when the program ends: of the 10 seconds that Cloud Run
// leaves it, jobs have the first 8.
const flushTime = 2 * time.Second

// flush has OpenTelemetry's global providers send what they hold, if the program has set some that can. Exporters send in
// batches, and the last batch tells of the jobs that ran while the program was told to stop.
func flush(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	var flushing sync.WaitGroup
	for _, provider := range []any{otel.GetTracerProvider(), otel.GetMeterProvider()} {
		p, ok := provider.(interface{ ForceFlush(context.Context) error })
		if !ok {
			continue
		}
		flushing.Go(func() {
			if err := p.ForceFlush(ctx); err != nil {
				log.LogAttrs(ctx, slog.LevelWarn, "the last spans or metrics could not be sent", slog.Any("error", err))
			}
		})
	}
	flushing.Wait()
}
