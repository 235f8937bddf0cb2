package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/piecework/piecework/functions"
)

// sweepBatch bounds one call of Sweep, so that the end of the worker need not cancel one in the
// middle.
const sweepBatch = 1000

// sweeper sweeps at intervals.
type sweeper struct{ w *Worker }

// run sweeps until ctx ends. The first sweep comes within the first interval, at random, so that
// workers that were started together do not sweep together.
func (s *sweeper) run(ctx context.Context) {
	every := s.w.opts.SweepEvery
	sleep(ctx, time.Duration(s.w.rt.Config().Rand()%uint64(every)))
	pause := pause{first: every, most: max(every, 5*time.Minute)}
	for ctx.Err() == nil {
		d := jitter(every, s.w.rt.Config().Rand())
		err := safely(ctx, s.sweep)
		if s.w.health.note("sweep", err); err == nil {
			pause.reset()
		} else {
			d = pause.next()
			s.w.log.LogAttrs(ctx, slog.LevelError, "sweep failed", slog.Duration("again_in", d), slog.Any("error", err))
		}
		sleep(ctx, d)
	}
}

// sweep sweeps for as long as something is due. Each call of Sweep removes jobs last, so that many
// removals do not keep a lost attempt from being seen within an interval.
func (s *sweeper) sweep(ctx context.Context) error {
	var from functions.SweepCursor
	for ctx.Err() == nil {
		res, err := s.w.rt.Sweep(s.w.work, functions.SweepRequest{Limit: sweepBatch, For: s.w.opts.SweepEvery, From: from})
		if err != nil || !res.More {
			return err
		}
		from = res.Next
	}
	return nil
}
