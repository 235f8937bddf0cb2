package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/pubsubq"
)

// pull calls round, which receives from a queue, until ctx ends or the queue is closed. After an
// error, also a panic, it pauses, longer each time.
func (w *Worker) pull(ctx context.Context, queue string, round func(context.Context) error) {
	pause := pause{first: 100 * time.Millisecond, most: 30 * time.Second}
	for ctx.Err() == nil {
		err := safely(ctx, round)
		w.health.note("queue "+queue, err)
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

// pause is a backoff: each pause is twice as long as the one before, up to most, with jitter.
type pause struct {
	first, most time.Duration
	now         time.Duration
}

func (p *pause) next() time.Duration {
	p.now = min(max(p.first, 2*p.now), p.most)
	return jitter(p.now, rand.Uint64())
}

func (p *pause) reset() { p.now = 0 }

// jitter takes up to a tenth off d, or adds it.
func jitter(d time.Duration, rnd uint64) time.Duration {
	tenth := d / 10
	return d - tenth + time.Duration(rnd%uint64(2*tenth+1))
}

// spread adds up to half to d, so that messages that were given back together do not come again
// together.
func spread(d time.Duration) time.Duration {
	if d < 2 {
		return d
	}
	return d + rand.N(d/2)
}

// sleep waits d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// safely calls f, in which a panic is an error with its stack. The loops go on after a panic, so
// that one message does not take the worker down.
func safely(ctx context.Context, f func(ctx context.Context) error) error {
	err := guard.Inline(func() error { return f(ctx) })
	if stack := guard.StackOf(err); stack != "" {
		return fmt.Errorf("%w\n%s", err, stack)
	}
	return err
}
