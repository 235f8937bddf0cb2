package cloudrun

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// sweepBatch bounds one call of Sweep, so that a server that drains need not cancel one in the
// middle.
const sweepBatch = 1000

// sweep sweeps, and answers with what it did.
func (s *Server) sweep(w http.ResponseWriter, r *http.Request) {
	if _, refused := s.read(w, r); refused != nil { // the body says nothing, but net/http would wait for it after the sweep
		s.refuse(w, r, refused)
		return
	}
	ctx, cancel := s.until(r.Context(), time.Now().Add(s.opts.Timeout))
	defer cancel()
	sum, err := s.sweepAll(ctx)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "sweep failed", slog.Int("looked", sum.Looked), slog.Any("error", err))
		status := functions.HTTPStatus(err)
		p := wire.NewProblem(status, "the sweep failed before its end; the log says why, and the next sweep does what is left")
		if p.Code = functions.ErrorCode(err); status == http.StatusServiceUnavailable {
			p.RetryAfter = 5
		}
		s.send(w, r, p)
		return
	}
	s.log.LogAttrs(ctx, slog.LevelDebug, "swept", slog.Int("looked", sum.Looked), slog.Duration("lag", time.Duration(sum.Lag)), slog.Bool("more", sum.More))
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(sum); err != nil {
		s.unsent(r, err)
	}
}

// sweepAll sweeps until nothing is due, its time or its request's time is up, or the server drains.
// Records that are left then are still due for the next sweep. It goes on when the caller goes
// away.
func (s *Server) sweepAll(ctx context.Context) (functions.SweepResult, error) {
	sum := functions.SweepResult{More: true}
	clock := s.rt.Config().Now
	var from functions.SweepCursor
	for end := clock().Add(s.opts.SweepFor); sum.More && ctx.Err() == nil && clock().Before(end) && !s.drains(); {
		res, err := s.rt.Sweep(ctx, functions.SweepRequest{Limit: sweepBatch, For: end.Sub(clock()), From: from})
		add(&sum, res)
		if from = res.Next; err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// add adds the counts of a sweep to sum.
func add(sum *functions.SweepResult, res functions.SweepResult) {
	sum.Looked += res.Looked
	sum.Started += res.Started
	sum.Resent += res.Resent
	sum.Lost += res.Lost
	sum.Expired += res.Expired
	sum.Rearmed += res.Rearmed
	sum.Settled += res.Settled
	sum.Removed += res.Removed
	sum.Left += res.Left
	sum.Failures += res.Failures
	sum.Lag = max(sum.Lag, res.Lag)
	sum.More, sum.Next = res.More, res.Next
}
