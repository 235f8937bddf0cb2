package lambda

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/internal/guard"
)

// GivenBack is a message that is given back to its queue, and after how long it should come again.
type GivenBack struct {
	Message *events.SQSMessage
	After   time.Duration
}

const (
	// firstAgain doubles with each delivery but the first: 10 seconds after the second, 43 minutes
	// after the tenth.
	firstAgain = 5 * time.Second
	// mostDoubled is how often it doubles, to 5 hours. SQS hides no message for longer than 12.
	mostDoubled = 12
	// tellTime is how long a queue has to be told.
	tellTime = 3 * time.Second
)

// again returns after how long a message that is given back should come again: not before its
// outcome says, and later each time, so that an outage of the store does not soon use up the
// deliveries that a queue allows. The time is spread by up to a half, so that messages that came
// together do not come together again.
func again(after time.Duration, deliveries int, random uint64) time.Duration {
	if deliveries > 1 {
		after = max(after, firstAgain<<min(deliveries-1, mostDoubled))
	}
	return after + time.Duration(random%uint64(max(after, 0)/2+1))
}

// told is the state of the calls of Options.Hide for an event.
type told struct {
	by      time.Time   // when the last call must be over; zero: no limit
	back    []GivenBack // messages that no call had yet
	telling bool        // a call is under way
	over    chan error  // gets the call's error
	failed  error       // the first error
}

// newTold plans the calls of Options.Hide. They must be over before the event's answer is due. The
// last attempts end half a margin before the deadline, so there is time after that.
func (f *queueFunction) newTold(ctx context.Context) *told {
	t := &told{over: make(chan error, 1)}
	if deadline, ok := ctx.Deadline(); ok {
		cfg := f.rt.Config()
		t.by = deadline.Add(-min(reserve(deadline.Sub(cfg.Now()))/2, cfg.Margin/4))
	}
	return t
}

// until returns the context of a call of Options.Hide. It does not end when the process is told to
// stop.
func (t *told) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime)
	if t.by.IsZero() {
		return ctx, cancel
	}
	ctx, cancelBy := context.WithDeadline(ctx, t.by)
	return ctx, func() { cancelBy(); cancel() }
}

// note notes the result of the call that was under way.
func (t *told) note(err error) {
	t.telling = false
	if t.failed == nil {
		t.failed = err
	}
}

// tell starts a call of Options.Hide with the messages given back so far, unless a call is under
// way. Handlers run on meanwhile.
func (e *event) tell(ctx context.Context) {
	t := e.told
	if t.telling || len(t.back) == 0 || e.f.opts.Hide == nil {
		return
	}
	some := t.back
	t.telling, t.back = true, nil
	ctx, cancel := t.until(ctx)
	go func() {
		defer cancel()
		t.over <- e.f.hide(ctx, some)
	}()
}

// hide calls Options.Hide. A panic becomes an error, so that the event does not suffer from it.
func (f *queueFunction) hide(ctx context.Context, some []GivenBack) error {
	return guard.Call(func() error { return f.opts.Hide(ctx, some) })
}

// tellAll passes the remaining messages to Options.Hide. It returns when that is done or no time is
// left. Messages that it did not pass come again later: when their visibility timeout is over.
func (e *event) tellAll(ctx context.Context) {
	t := e.told
	limit, cancel := t.until(ctx)
	defer cancel()
	for e.tell(ctx); t.telling; e.tell(ctx) {
		select {
		case err := <-t.over:
			t.note(err)
			continue
		case <-limit.Done():
			t.note(fmt.Errorf("no answer in time: %w", limit.Err()))
		}
		break
	}
	if t.failed != nil {
		e.f.opts.Log.LogAttrs(ctx, slog.LevelWarn, "the queue could not be told when messages should come again; they come when their visibility timeout is over",
			slog.String("queue", e.msgs[0].queue), slog.Int("given_back", e.count), slog.Any("error", t.failed))
	}
}

// giveBack marks a message as failed, and all messages that wait for it. They come again together
// with it: a FIFO queue delivers none of a group while another is hidden.
func (e *event) giveBack(ctx context.Context, i int, out functions.Outcome) {
	err := out.Err
	if err == nil {
		err = errNoReason
	}
	after := again(out.After, e.msgs[i].deliveries(), e.f.rt.Config().Rand())
	for ; i >= 0; i = e.next[i] {
		m := e.msgs[i]
		e.failed[i] = err
		e.count++
		e.f.opts.Log.LogAttrs(ctx, slog.LevelWarn, "message is given back", slog.String("queue", m.queue),
			slog.String("message", m.record.MessageId), slog.Int("deliveries", m.deliveries()), slog.Any("error", err))
		e.told.back = append(e.told.back, GivenBack{m.record, after})
		err = errBehind
	}
}
