package program

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/piecework/piecework/functions"
)

// logger logs JSON, one line per event.
func (e Environment) logger(to io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: e.level, ReplaceAttr: functions.ReadableAttr}
	if e.google {
		opts.ReplaceAttr = forCloudLogging
	}
	return slog.New(slog.NewJSONHandler(to, opts))
}

// forCloudLogging gives the level and the message the names by which Cloud Logging knows them.
func forCloudLogging(groups []string, a slog.Attr) slog.Attr {
	a = functions.ReadableAttr(groups, a)
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		if a.Value.String() == slog.LevelWarn.String() {
			return slog.String("severity", "WARNING")
		}
		a.Key = "severity"
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}

// flushTime is how long exporters have to send what they hold when the program ends. Cloud Run
// leaves a process 10 seconds, and jobs have the first 8.
const flushTime = 2 * time.Second

// flush makes OpenTelemetry's global providers send what they hold, if the program has set
// providers that can. Exporters send in batches, and the last batch is about the jobs that ran
// while the program was told to stop.
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
