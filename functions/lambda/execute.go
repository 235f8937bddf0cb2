package lambda

import (
	"context"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/pubsubq"
)

// Execute returns the handler that runs the jobs that messages name.
//
// The jobs of an event are claimed together. Jobs that still run when the invocation must end are
// told so in time, by functions.Config.Margin. Messages that there was no time for are given back
// unclaimed.
func Execute(rt *functions.Runtime, o *Options) (Handler, error) {
	opts, err := o.withDefaults(rt)
	if err != nil {
		return nil, err
	}
	margin := rt.Config().Margin
	f := &queueFunction{
		rt: rt, opts: opts, name: "execute",
		// A handler that starts later than this would be told at once that its time is up.
		reserve: func(time.Duration) time.Duration { return 2 * margin },
	}
	f.start = f.execute
	return f.handle, nil
}

// execute claims the jobs of some messages, with one list of reads and one of writes, and starts
// them.
func (f *queueFunction) execute(ctx, soon context.Context, msgs []message, done func(int, functions.Outcome)) (started []running) {
	over := make([]bool, len(msgs)) // handled, or its job runs
	err := guard.Inline(func() error {
		started = f.claim(ctx, soon, msgs, over, done)
		return nil
	})
	for i := range msgs {
		if err != nil && !over[i] {
			done(i, panicked(err))
		}
	}
	return started
}

// claim is execute without its guard. It marks the messages that it has dealt with.
func (f *queueFunction) claim(
	ctx, soon context.Context, msgs []message, over []bool, done func(int, functions.Outcome),
) (started []running) {
	hints := make([]pubsubq.Message, 0, len(msgs))
	at := make([]int, 0, len(msgs)) // of each hint, the index of its message
	for i, m := range msgs {
		hint, err := functions.ReadHint(m.body, m.metadata)
		if err != nil {
			out := f.rt.Park(soon, m.queue, m.body, m.metadata, err)
			over[i] = true
			done(i, out)
			continue
		}
		hints, at = append(hints, hint), append(at, i)
	}
	if len(hints) == 0 {
		return nil
	}
	for n, c := range f.rt.Claim(soon, hints...) {
		i := at[n]
		over[i] = true
		if c.Attempt == nil {
			done(i, c.Outcome)
			continue
		}
		back := make(chan struct{})
		started = append(started, running{c.Attempt.ID(), back})
		c.Attempt.Start(ctx, func(run func()) {
			go func() {
				defer close(back)
				run()
			}()
		}, func(out functions.Outcome) { done(i, out) })
	}
	return started
}
