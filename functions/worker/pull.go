package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

// pull calls round, which receives from a queue, until ctx ends or the queue is closed. After an error, also a panic,
// it pauses, longer each time.
func (w *Worker) pull(ctx context.Context, queue string, round func(context.Context) error) {
	pause := pause{first: 100 * time.Millisecond, most: 30 * time.Second}
	for ctx.Err() == nil {
		err := safely(ctx, round)
		switch {
		case err == nil:
			pause.reset()
			continue
		case ctx.Err() != nil:
			return
		case errors.Is(err, pubsubq.ErrShutdown):
			w.log.LogAttrs(ctx, slog.LevelError, "queue is closed; nothing more is received from it",
				slog.String("queue", queue), slog.Any("error", err))
			return
		}
		d := pause.next()
		w.log.LogAttrs(ctx, slog.LevelWarn, "receiving pauses",
			slog.String("queue", queue), slog.Duration("for", d), slog.Any("error", err))
		sleep(ctx, d)
	}
}
