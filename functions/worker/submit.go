package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/pubsubq"
)

// submitter makes jobs of the messages of the submit queue.
type submitter struct {
	w    *Worker
	recv *pubsubq.Receiver
}

// run pulls until ctx ends, and returns when all that it received is settled.
func (s *submitter) run(ctx context.Context) { s.w.pull(ctx, functions.SubmitQueue, s.round) }

// round receives some messages and makes jobs of them concurrently, so that the store can write
// them together.
func (s *submitter) round(ctx context.Context) error {
	if err := s.w.held.room(ctx); err != nil {
		return err
	}
	ds, err := s.recv.Receive(ctx, s.w.opts.SubmitConcurrency)
	if err != nil {
		return err
	}
	errs := make([]error, len(ds))
	var wg sync.WaitGroup
	for i, d := range ds[1:] {
		wg.Go(func() { errs[i+1] = safely(ctx, s.submitting(d)) })
	}
	errs[0] = safely(ctx, s.submitting(ds[0]))
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// submitting makes a job of one message.
func (s *submitter) submitting(d *pubsubq.Delivery) func(context.Context) error {
	return func(context.Context) error { return s.submit(d) }
}

// key returns the idempotency key of a message that has none.
func (s *submitter) key(d *pubsubq.Delivery) (string, error) {
	if s.w.opts.SubmitKey == nil {
		return d.Origin.ID, nil
	}
	return guard.Within(s.w.work, &s.w.calls, "", outcomeTime, func(context.Context) (string, error) {
		return s.w.opts.SubmitKey(d), nil
	})
}

// submit makes a job of one message. It returns an error only if the store does not answer.
func (s *submitter) submit(d *pubsubq.Delivery) error {
	settled := false
	defer func() {
		if !settled { // after a panic
			d.Nack()
		}
	}()
	key, err := s.key(d)
	var out functions.Outcome
	switch {
	case errors.Is(err, guard.ErrBusy):
		out = functions.Outcome{Verdict: functions.Retry, Err: err}
	case err != nil:
		out = s.w.rt.Park(s.w.work, functions.SubmitQueue, d.Body, d.Metadata, fmt.Errorf("SubmitKey: %w", err))
	default:
		out = s.w.rt.Accept(s.w.work, functions.Incoming{
			Body: d.Body, Metadata: d.Metadata, MessageID: key, Deliveries: d.Origin.Deliveries,
		})
	}
	settled = true
	s.w.settle(functions.SubmitQueue, d, out)
	if out.AffectsAll() {
		return fmt.Errorf("%w: %w", errStore, out.Err)
	}
	return nil
}
