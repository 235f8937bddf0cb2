package lambda

import (
	"context"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/internal/guard"
)

// Submit returns the handler that makes jobs of messages. A message without a key is keyed by its
// id, which stays the same when SQS delivers it again, so it makes one job.
func Submit(rt *functions.Runtime, o *Options) (Handler, error) {
	opts, err := o.withDefaults(rt)
	if err != nil {
		return nil, err
	}
	if opts.Concurrency == 0 {
		opts.Concurrency = 64
	}
	f := &queueFunction{rt: rt, opts: opts, name: "submit", reserve: reserve}
	f.start = f.submit
	return f.handle, nil
}

// submit makes jobs of some messages concurrently, so that their writes are sent together.
func (f *queueFunction) submit(_, soon context.Context, msgs []message, done func(int, functions.Outcome)) []running {
	for i, m := range msgs {
		go func() {
			var out functions.Outcome
			if err := guard.Inline(func() error {
				out = f.rt.Accept(soon, functions.Incoming{
					Body: m.body, Metadata: m.metadata, MessageID: m.id, Deliveries: m.deliveries(),
				})
				return nil
			}); err != nil {
				out = panicked(err)
			}
			done(i, out)
		}()
	}
	return nil
}

// reserve is how much of the time until the platform's deadline is kept for the answer.
func reserve(left time.Duration) time.Duration { return min(left/5, 2*time.Second) }

// early returns a context that ends before the platform's deadline, early enough to give back what
// was not done.
func early(ctx context.Context, rt *functions.Runtime) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-reserve(deadline.Sub(rt.Config().Now()))))
}
